"""
Logins that a server refused, counted as the servers tell them: without an answer in time, by the service's answer, or by the server itself. And
that nobody who logs in can make a count.
"""
import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from harness.mqtt import Closed
from harness.mqtt import Refused as MqttRefused
from harness.natsio import Refused
from harness.suspend import suspended
from harness.wait import until

SUBJECT = "$SYS.ACCOUNT.CLIENT.AUTH.ERR"
REASONS = ("timeout", "refused", "other")
HEARD = "auth_server_refusals_heard"
BAD_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJub2JvZHkifQ.eHg"
TIMED_OUT, BY_ITSELF = "a login timed out at the server", "the server refused a login by itself"


def counts(site, port="METRICS"):
    now = site.metrics(port)
    return {reason: now[f'auth_server_refusals_total{{reason="{reason}"}}'] for reason in REASONS}


def heard(site, port="METRICS"):
    until(lambda: site.metrics(port)[HEARD] == 1, "the servers to be heard")


@contextlib.contextmanager
def counted(site, ports=("METRICS",), **expected):
    """The block makes these counts and no other; a refusal behind it, which all would have come before, is not counted here."""
    for port in ports:
        heard(site, port)

    def total():
        return {reason: sum(counts(site, port)[reason] for port in ports) for reason in REASONS}

    before = total()
    yield
    turned_away(site.nats(BAD_TOKEN))
    want = {reason: before[reason] + expected.get(reason, 0) + (reason == "refused") for reason in REASONS}
    until(lambda: all(total()[reason] >= want[reason] for reason in REASONS), lambda: f"{want}, and it is {total()}")
    assert total() == want


def turned_away(client):
    with pytest.raises((Refused, MqttRefused)):
        client.connect()


def stopped(site, names=("csc/auth-callout",)):
    """The service is there, and takes and answers nothing."""
    return suspended(*(site.bus.pid(name) for name in names))


def waits(site, port="NATS", node=0):
    """A NATS client that waits for the server's word as long as that takes; nats-py does not."""
    with site.wire(port, node) as wire:
        assert wire.connect() == "Authorization Violation"


def at_once(logins):
    with ThreadPoolExecutor(len(logins)) as pool:
        list(pool.map(lambda login: login(), logins))


@pytest.fixture(scope="module")
def quick(run_root):
    """A site whose servers wait for 3 s alone."""
    from harness.site import Site
    site = Site(run_root / "refusals", callout_timeout=3)
    site.up()
    yield site
    site.stop()


def test_every_reason_is_there_at_the_start(quick):
    assert counts(quick) == dict.fromkeys(REASONS, 0)
    heard(quick)


def test_without_an_answer(quick):
    """Seen at the main and at the mTLS server, by NATS and MQTT, and told in the log with the client and the server that waited."""
    offset, token = quick.log.size(), quick.idp.token()
    with counted(quick, timeout=4):
        with stopped(quick):
            at_once([lambda: turned_away(quick.mqtt(token)), lambda: waits(quick), lambda: turned_away(quick.mqtts()),
                     lambda: waits(quick, "MTLS_NATS")])
        lines = until(lambda: len(found := quick.log.find(offset, msg=TIMED_OUT)) == 4 and found, "four lines of the log")
    assert sorted((line["server"], line["kind"]) for line in lines) == [
        ("csc-main", "mqtt"), ("csc-main", "nats"), ("csc-mtls", "mqtt"), ("csc-mtls", "nats")]
    assert all(line["host"] == "127.0.0.1" and line["client_id"] > 0 and line["level"] == "warn" for line in lines)
    assert token not in quick.log.text()


@pytest.mark.parametrize("server", ["main", "mTLS"])
def test_an_answer_that_refuses(quick, server):
    """Such a login is in the log by its decision, and not a second time."""
    client = quick.mqtt(BAD_TOKEN) if server == "main" else quick.mqtts(user="oauthtoken", password=BAD_TOKEN)
    offset = quick.log.size()
    with counted(quick, refused=1):
        turned_away(client)
    assert not quick.log.find(offset, msg=TIMED_OUT) and not quick.log.find(offset, msg=BY_ITSELF)


@pytest.mark.parametrize("server", ["main", "mTLS"])
def test_who_is_let_in_is_not_counted(quick, server):
    with counted(quick):
        with quick.mqtt(quick.idp.token()) if server == "main" else quick.mqtts():
            pass


def test_a_wrong_key_of_a_user_of_the_servers_own(quick):
    """Nobody is asked about these, and no decision tells of them."""
    offset = quick.log.size()
    with counted(quick, other=1):
        with contextlib.closing(quick.leaf(account="AUTHX")) as leaf:
            signed = leaf.sign(quick.key("t-somebody"))
            assert leaf.connect(**signed | {"nkey": quick.key("mtls-authx-leaf").public}) == "Authorization Violation"
    line = until(lambda: quick.log.find(offset, msg=BY_ITSELF), "the log to tell")[0]
    assert line["error"] == "Authentication Failure" and line["kind"] == "Leafnode" and line["server"] == "csc-main"


def test_an_answer_that_the_server_cannot_follow(quick):
    """Admitted by the service into an account that the server does not have."""
    def elsewhere(doc):
        doc["oauth2"]["elsewhere"] = {"azp": "elsewhere", "account": "Nowhere"}

    offset = quick.log.size()
    with quick.permissions_changed(elsewhere), counted(quick, other=1):
        turned_away(quick.nats(quick.idp.token(azp="elsewhere")))
    line = until(lambda: quick.log.find(offset, msg=BY_ITSELF), "the log to tell")[0]
    assert 'account "Nowhere"' in line["error"]


def test_what_ends_before_any_callout_is_not_told(quick):
    with counted(quick):
        with quick.wire() as wire:
            assert wire.connect(user="x" * 70_000) == "maximum control line exceeded"
        with pytest.raises(Closed):
            quick.mqtts((quick.client_tls()[0], None, None)).connect()
        turned_away(quick.mqtt(client_id="a.b"))


def test_what_a_client_says_of_itself_makes_no_reason(quick):
    names = ["", 'x","reason":"', "Auth callout service returned an error: no", "\ufffd", "\0", "a\0b", "\x01\x7f\u2028", "x" * 20_000]
    unreadable = quick.metrics()['auth_invalid_requests_total{reason="request_malformed"}']
    with counted(quick, refused=len(names)):
        for name in names:
            with quick.wire() as wire:
                assert wire.connect(name=name, user=name or "u", lang=name, **{"pass": "x"}) == "Authorization Violation"
    assert quick.metrics()['auth_invalid_requests_total{reason="request_malformed"}'] == unreadable


# --- who could make a count -----------------------------------------------------------------------------------------------
FORGED = b'{"type":"io.nats.server.advisory.v1.client_disconnect","server":{"name":"csc-main"},"client":{},"reason":""}'


@pytest.mark.parametrize("who", ["token", "token of the whole account", "token with >", "nkey", "internal nkey", "anonymous", "LaunchLayer", "who watches in AUTH",
                                 "the service's own user", "NACK", "streams", "surveyor"])
def test_a_client_of_the_main_server_makes_none(site, token, who):
    client = {"token": lambda: site.nats(token()), "token of the whole account": lambda: site.nats(token(azp="all-own")),
              "token with >": lambda: site.nats(token(azp="root-wildcard")), "nkey": lambda: site.nkey_client("plain"),
              "internal nkey": lambda: site.nkey_client("observer"), "anonymous": lambda: site.nats(),
              "LaunchLayer": lambda: site.nats(token("launchlayer-client")),
              "who watches in AUTH": lambda: site.nats(seed=site.key("auth-watch").seed),
              "the service's own user": lambda: site.nats(seed=site.key("service").seed),
              "NACK": lambda: site.nats(seed=site.key("nats-nack-user").seed), "streams": lambda: site.nats(seed=site.key("streams").seed),
              "surveyor": lambda: site.nats(seed=site.key("nats-surveyor").seed)}[who]()
    with counted(site), client:
        for _ in range(3):
            client.publish(SUBJECT, FORGED)
            client.publish(SUBJECT, FORGED, reply="_INBOX.x")
        client.flush()


@pytest.mark.parametrize("who", ["certificate", "bms", "token"])
def test_a_client_of_the_mtls_server_makes_none(site, token, who):
    client = {"certificate": lambda: site.mqtts(), "bms": lambda: site.mqtts(site.client_tls("bms")),
              "token": lambda: site.mqtts(user="oauthtoken", password=token(azp="all-own"))}[who]()
    with counted(site), client:
        for qos in (0, 1, 2):
            client.publish("$SYS/ACCOUNT/CLIENT/AUTH/ERR", FORGED, qos)
        client.barrier()


@pytest.mark.parametrize("account, name", [("CSC", "mtls-leaf"), ("SYS", "mtls-sys-leaf")])
def test_the_other_leaf_connections_make_none(site, account, name):
    with counted(site), contextlib.closing(site.leaf(account=account)) as leaf:
        assert leaf.connect(**leaf.sign(site.key(name))) is None
        leaf.publish(SUBJECT, FORGED)
        leaf.send("PING\r\n")
        with site.nats():  # a callout behind it
            pass


EVENTS = {"no reason": (FORGED, "timeout"), "refused": (FORGED.replace(b'""}', b'"Auth callout service returned an error: x"}'), "refused"),
          "another": (FORGED.replace(b'""}', b'"x"}'), "other"), "nothing": (b"", "other"), "noise": (b"\x00\xff", "other"),
          "a list": (b"[]", "other"), "no object inside": (b'{"server":1,"client":[],"reason":""}', "timeout"),
          "a number": (b'{"reason":7}', "other"), "without it": (b"{}", "other"), "twice": (b'{"reason":"","reason":"x"}', "other"),
          "deep": (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "other"), "large": (b'{"a":"' + b"x" * 900_000 + b'","reason":""}', "timeout"),
          "lines": (b'{"server":{"name":"a\\nauth_ready 0\\u0007\\""},"client":{"host":"\\u2028"},"reason":""}', "timeout")}


@pytest.mark.parametrize("name", EVENTS)
def test_the_holder_of_the_authx_leafs_seed_makes_counts_and_no_more(site, name):
    """He may ask for callouts, too. Whatever he sends is one count of a reason that was there before: the site fixture looks for new series."""
    payload, reason = EVENTS[name]
    with counted(site, **{reason: 1}), contextlib.closing(site.leaf(account="AUTHX")) as leaf:
        before = counts(site)[reason]
        assert leaf.connect(**leaf.sign(site.key("mtls-authx-leaf"))) is None
        leaf.publish(SUBJECT, payload)
        until(lambda: counts(site)[reason] > before, "it to be counted")


def test_the_authx_leaf_does_not_hear_of_the_main_servers_refusals(site):
    with contextlib.closing(site.leaf(account="AUTHX")) as leaf:
        assert leaf.connect(**leaf.sign(site.key("mtls-authx-leaf"))) is None
        with contextlib.suppress(ConnectionError):  # the server ends the link for this, or does not listen
            for subject in (SUBJECT, "$SYS.ACCOUNT.>", f"{SUBJECT} auth-callout 1"):
                leaf.subscribe(subject)
        with counted(site):
            pass
        assert leaf.messages.empty()


# --- many processes, servers that do not let us listen --------------------------------------------------------------------
@pytest.mark.timeout(180)
def test_each_is_counted_once_in_a_site(new_federation):
    """Three servers and two processes: the sum over the processes is what happened."""
    site, = new_federation(sites=("csc",), replicas=3, callouts=2, callout_timeout=3)
    processes = ("METRICS", "METRICS_2")
    with counted(site, processes, refused=30, timeout=4):
        for i in range(30):
            turned_away(site.nats(BAD_TOKEN, node=i % 3))
        with stopped(site, ("csc/auth-callout", "csc/auth-callout-2")):
            at_once([*(partial(waits, site, node=i) for i in range(3)), lambda: turned_away(site.mqtts())])
    assert all(counts(site, port)["refused"] for port in processes), "one process heard nothing"


def change(path, pattern, by):
    text, n = re.subn(pattern, by, path.read_text())
    assert n, f"{pattern} is not in {path}"
    path.write_text(text)


def ours(site):
    return [c.get("name") for c in site.connections() if c.get("name", "").startswith("auth-callout")]


OLDER = {"no right to listen": [(r'"\$SYS\.ACCOUNT\.CLIENT\.AUTH\.ERR"(,?\s+"\$SRV\.>")', r'"unused"\1')],
         "no export": [(r'    exports: \[\n.*stream: "\$SYS\.ACCOUNT\.CLIENT\.AUTH\.ERR".*\n    \]\n', ""),
                       (r'.*stream: \{ account: AUTH, subject: "\$SYS\.ACCOUNT\.CLIENT\.AUTH\.ERR".*\n', "")]}


@pytest.mark.parametrize("how", OLDER)
def test_servers_of_an_earlier_configuration(new_site, how):
    """Callouts are as ever: all links up, ready, nothing lost. Only this is not counted, and where it can be told the log does, once."""
    site = new_site()
    for pattern, by in OLDER[how]:
        change(site.dir / "conf/main.conf", pattern, by)
    site.bus("restart", "csc/nats-main")
    told = "logins that the servers refuse are not counted"
    if how == "no right to listen":
        until(lambda: [line for line in site.log.since() if line["msg"].startswith(told)], "the log to tell")
        assert site.metrics()[HEARD] == 0
    until(lambda: site.metrics()["auth_ready"] == 1 and site.metrics()["auth_nats_links_up"] >= 1, "the links to be up")
    links, lost = site.metrics()["auth_nats_links_up"], site.metrics()["auth_nats_link_lost_total"]
    for _ in range(3):
        with site.decision("oauth2"), site.mqtt(site.idp.token()):
            pass
        turned_away(site.nats(BAD_TOKEN))
    assert counts(site) == dict.fromkeys(REASONS, 0)
    assert site.http("/readyz")[0] == 200 and site.metrics()["auth_nats_links_up"] == links and site.metrics()["auth_nats_link_lost_total"] == lost
    assert len([line for line in site.log.since() if line["msg"].startswith(told)]) == (how == "no right to listen")


@pytest.mark.long
def test_the_right_comes_later(new_site):
    """Within a minute of the server's new configuration it is counted, without a restart of the service."""
    site = new_site()
    right, = OLDER["no right to listen"]
    path = site.dir / "conf/main.conf"
    good = path.read_text()
    change(path, *right)
    site.bus("restart", "csc/nats-main")
    until(lambda: site.metrics()[HEARD] == 0, "the server to refuse it")
    path.write_text(good)
    site.bus("restart", "csc/nats-main")
    until(lambda: site.metrics()[HEARD] == 1, "it to be heard", timeout=90)
    with counted(site):
        pass


def test_off(new_site):
    """The series are there and nothing listens: no further connection, nothing for a server to refuse."""
    site = new_site()
    heard(site)
    assert "auth-callout refusals" in ours(site)
    change(site.dir / "conf/auth-callout.yaml", " *server-refusals: true\n", "")
    site.bus("restart", "csc/auth-callout")
    until(lambda: site.metrics()["auth_ready"] == 1, "the service to be ready")
    turned_away(site.nats(BAD_TOKEN))
    assert "auth-callout refusals" not in ours(site)
    assert counts(site) == dict.fromkeys(REASONS, 0) and site.metrics()[HEARD] == 0
