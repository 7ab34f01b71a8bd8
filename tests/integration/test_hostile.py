"""Clients who are let in, and want more than that."""
import contextlib
import uuid

import pytest

from harness.mqtt import SUBSCRIBE_FAILED
from harness.program import Configured
from harness.spare import NatsTls, Server
from harness.wait import until

# Who is let in, as a maker of clients: everything an entry can be, from narrow to the whole account.
WHO = {
    "token": (lambda s: s.idp.token(), "narrow"), "token, pub only": (lambda s: s.idp.token(azp="pub-only"), "narrow"),
    "token, sub only": (lambda s: s.idp.token(azp="sub-only"), "narrow"), "token, nothing": (lambda s: s.idp.token(azp="nothing"), "narrow"),
    "token, whole account": (lambda s: s.idp.token(azp="all-own"), "wide"), "token, >": (lambda s: s.idp.token(azp="root-wildcard"), "wide"),
    "token, *.>": (lambda s: s.idp.token(azp="star-wildcard"), "wide"),
}
MQTT_CLIENTS = {who: (lambda s, make=make: s.mqtt(make(s)), width) for who, (make, width) in WHO.items()}
MQTT_CLIENTS["certificate"] = (lambda s: s.mqtts(), "narrow")
MQTT_CLIENTS["certificate, pub only"] = (lambda s: s.mqtts(s.client_tls("bms")), "narrow")
MQTT_CLIENTS["anonymous"] = (lambda s: s.mqtt(), "wide")
NATS_CLIENTS = {who: (lambda s, make=make: s.nats(make(s)), width) for who, (make, width) in WHO.items()}
NATS_CLIENTS["nkey"] = (lambda s: s.nkey_client("plain"), "narrow")
NATS_CLIENTS["anonymous"] = (lambda s: s.nats(), "wide")

# Real subjects of the servers' own, not only names below them.
TARGETS = ["$JS.x", "$JS.API.STREAM.DELETE.$MQTT_msgs", "$JS.API.INFO", "$MQTT.msgs.test.a", "$MQTT.sub.x", "$MQTT.JSA.x", "$SYS.x",
           "$SYS.REQ.USER.AUTH", "$SYS.REQ.SERVER.PING", "$SRV.PING", "$SRV.x", "$XL.x"]
FILTERS = ["$JS.>", "$JS.API.>", "$MQTT.>", "$MQTT.msgs.>", "$MQTT.sub.>", "$SYS.>", "$SYS.REQ.USER.AUTH", "$SRV.>", "$SRV.PING", "$XL.>"]
# What a client with the whole account may not even hear.
NEVER_HEARD = ("$MQTT.", "$XL.")


def topic(subject):
    return subject.replace(".", "/").replace(">", "#")


@pytest.mark.parametrize("who", MQTT_CLIENTS)
def test_publishing_the_servers_own_subjects_by_mqtt(site, observer, who):
    heard = observer.subscribe(">")
    mark = uuid.uuid4().hex.encode()
    with MQTT_CLIENTS[who][0](site) as client:
        for subject in TARGETS:
            for qos in (0, 1, 2):
                for retain in (False, True):
                    client.publish(topic(subject), mark, qos, retain)
        client.barrier()
        assert not client.closed.is_set()
    # The mTLS server hands over by its leaf, in order: what the observer hears of this client after it shows that nothing came before.
    if "certificate" in who:
        last = uuid.uuid4().hex.encode()
        with site.mqtts() as other:
            other.publish("test/last", last, 1)
        until(lambda: heard.heard(last), "the last message")
    observer.flush()
    assert not heard.heard(mark)
    streams = observer.request("$JS.API.STREAM.NAMES").data
    assert b"$MQTT_msgs" in streams and b"$MQTT_sess" in streams


@pytest.mark.parametrize("who", NATS_CLIENTS)
def test_publishing_the_servers_own_subjects_by_nats(site, observer, who):
    heard = observer.subscribe(">")
    mark = uuid.uuid4().hex.encode()
    with NATS_CLIENTS[who][0](site) as client:
        for subject in TARGETS:
            client.publish(subject, mark, reply="_INBOX.x")
            client.publish(subject, mark, headers={"Nats-Msg-Id": "1"})
            client.refused("publish", subject)
        client.flush()
    observer.flush()
    assert not heard.heard(mark)


@pytest.mark.parametrize("who", MQTT_CLIENTS)
def test_subscribing_the_servers_own_subjects_by_mqtt(site, who):
    make, width = MQTT_CLIENTS[who]
    with make(site) as client:
        for subject in FILTERS:
            if width == "wide" and not subject.startswith(NEVER_HEARD):
                continue
            for qos in (0, 1, 2):
                assert client.subscribe(topic(subject), qos) == SUBSCRIBE_FAILED, (subject, qos)
        client.barrier()
        assert not client.received()


@pytest.mark.parametrize("who", NATS_CLIENTS)
def test_subscribing_the_servers_own_subjects_by_nats(site, who):
    make, width = NATS_CLIENTS[who]
    with make(site) as client:
        for subject in FILTERS:
            if width == "wide" and not subject.startswith(NEVER_HEARD):
                continue
            client.subscribe(subject)
            client.refused("subscription", subject)


@pytest.mark.parametrize("who", [who for who, (_make, width) in NATS_CLIENTS.items() if width == "wide"])
def test_the_whole_account_is_without_other_peoples_sessions(site, token, who):
    """A client that may hear `>` or everything of its account hears nothing of what MQTT keeps below $MQTT."""
    with NATS_CLIENTS[who][0](site) as client, site.mqtt(token()) as other:
        heard = [client.subscribe(subject) for subject in (("*.>", "*") if "*" in who else (">",))]
        other.subscribe("test/sessions", 2)
        other.publish("test/sessions", b"x", 2)
        other.receive()
        until(lambda: any(m.subject == "test.sessions" for one in heard for m in list(one.messages.queue)), "the message itself")
        client.flush()
        assert not [m.subject for one in heard for m in one.received() if m.subject.startswith(NEVER_HEARD)]


# --- an entry with one empty side ------------------------------------------------------------------------------------
def test_an_empty_side_grants_nothing(site, observer, token):
    heard = observer.subscribe("t.>")
    with site.mqtt(token(azp="pub-only")) as mqtt, site.nats(token(azp="pub-only")) as nats:
        for qos in (0, 1, 2):
            for one in ("t/a", "t/#", "#", "+", "+/+", "$MQTT/sub/x", "any"):
                assert mqtt.subscribe(one, qos) == SUBSCRIBE_FAILED, one
            mqtt.publish("t/a", b"%d" % qos, qos)
            assert heard.receive().data == b"%d" % qos
        for one in ("t.a", "t.>", ">", "*", "*.>", "_INBOX.x"):
            nats.subscribe(one)
            nats.refused("subscription", one)
    with site.mqtt(token(azp="sub-only")) as mqtt, site.nats(token(azp="sub-only")) as nats:
        for qos in (0, 1, 2):
            assert mqtt.subscribe("t/b", qos) == qos
            for one in ("t/a", "any", "$SYS/a"):
                mqtt.publish(one, b"no", qos, retain=True)
        own = nats.subscribe("t.b")
        for one in ("t.a", "any", "_INBOX.x", "$SYS.REQ.USER.AUTH"):
            nats.publish(one, b"no")
            nats.refused("publish", one)
        observer.publish("t.b", b"for you")
        assert mqtt.receive()[1] == b"for you" and own.receive().data == b"for you"
    observer.flush()
    assert not heard.heard(b"no")


def test_on_the_wire_an_empty_side_is_a_deny(asker, token):
    """An empty allow list means everything to nats-server: it must not be what is sent."""
    for azp in ("pub-only", "sub-only", "nothing"):
        for client in ({"type": "nats"}, {"type": "mqtt", "mqtt_id": "x"}, {"type": "websocket"}):
            jwt = token(azp=azp)
            nats = asker.ask(client=client, connect={"user": "oauthtoken", "pass": jwt}).user["nats"]
            for side in ("pub", "sub"):
                assert nats[side].get("allow") or nats[side].get("deny") == [">"], (azp, client, nats)


# --- the leaf port ---------------------------------------------------------------------------------------------------
LEAF = {
    "token as password": (lambda s: {"user": "oauthtoken", "pass": s.idp.token()}, "oauth2", "leaf_refused"),
    "token as token": (lambda s: {"auth_token": s.idp.token()}, "oauth2", "leaf_refused"),
    "token of the whole account": (lambda s: {"auth_token": s.idp.token(azp="all-own")}, "oauth2", "leaf_refused"),
    "expired token": (lambda s: {"auth_token": s.idp.token(exp="now-10")}, "oauth2", "expired"),
    "anonymous": (lambda s: {}, "noauth", "leaf_refused"),
    "user and password": (lambda s: {"user": "u", "pass": "no password here"}, "noauth", "unrecognized_credentials"),
    "nkey without leaf": (lambda s: "t-plain", "nkey", "leaf_refused"),
    "internal nkey without leaf": (lambda s: "t-observer", "nkey", "leaf_refused"),
}


@pytest.mark.parametrize("who", LEAF)
def test_at_the_leaf_port(site, who):
    make, method, reason = LEAF[who]
    with contextlib.closing(site.leaf()) as leaf:
        members = make(site)
        if isinstance(members, str):
            members = leaf.sign(site.key(members))
        with site.decision(method, reason, kind="leaf"):
            assert leaf.connect(**members) == "Authorization Violation"


def leaf_server(site, name, remote):
    return Server(site, name, f"""
server_name: {name}
listen: "{site.address}:{site.ports['SPARE_3']}"
leafnodes {{ reconnect: 60, remotes: [ {{ {remote} }} ] }}
""")


@pytest.mark.parametrize("who", ["token", "token as user and password", "anonymous", "certificate"])
def test_a_real_server_at_the_leaf_port(site, token, who):
    """nats-server as a leaf of the site, with what a client has."""
    method, where = "oauth2", f"{site.address}:{site.ports['LEAF']}"
    jwt = token()
    with contextlib.ExitStack() as stack:
        if who == "token":
            remote = f'url: "nats-leaf://{jwt}@{where}"'
        elif who == "anonymous":
            method, remote = "noauth", f'url: "nats-leaf://{where}"'
        elif who == "certificate":
            tls = stack.enter_context(NatsTls(site))
            ca, cert, key = site.client_tls()
            method, remote = "mtls", (f'url: "tls://{site.address}:{tls.leaf_port}", '
                                      f'tls {{ ca_file: "{ca}", cert_file: "{cert}", key_file: "{key}" }}')
        else:
            remote = f'url: "nats-leaf://oauthtoken:{jwt}@{where}"'
        server = leaf_server(site, "leaf-" + who.replace(" ", "-"), remote)
        with site.decision(method, "leaf_refused", kind="leaf"), server:
            until(lambda: "Authorization Violation" in server.text(), lambda: server.text()[-1500:])
        assert server.name not in str(site.monitor("/leafz"))
        assert jwt.split(".")[1] not in site.log.text()


def test_a_leaf_that_may(site, observer):
    """An nkey entry that lists leaf gets one, with its own permissions: nothing else arrives, nothing else goes."""
    heard = observer.subscribe(">")
    with contextlib.closing(site.leaf()) as leaf:
        with site.decision("nkey", entry="t-leaf", kind="leaf"):
            assert leaf.connect(**leaf.sign(site.key("t-leaf"))) is None
        for subject in ("leaf.x", "test.>", "$MQTT.>", "$JS.API.>"):
            leaf.subscribe(subject)
        until(lambda: any("leaf.x" in str(line) for line in [site.monitor("/leafz?subs=1")]), "the leaf's interest")
        observer.publish("test.x", b"not for you")
        observer.publish("leaf.x", b"for you")
        subject, _reply, payload = leaf.messages.get(timeout=10)
        assert (subject, payload) == ("leaf.x", b"for you")
        leaf.publish("leaf.y", b"allowed")
        until(lambda: heard.heard(b"allowed", "leaf.y"), "the allowed message")
    for subject in ("test.x", "$MQTT.msgs.x", "$SYS.REQ.USER.AUTH", "$JS.API.INFO", "$SRV.PING"):
        with contextlib.closing(site.leaf()) as leaf:
            assert leaf.connect(**leaf.sign(site.key("t-leaf"))) is None
            leaf.publish(subject, b"denied")
            leaf.publish("leaf.y", b"behind " + subject.encode())
            until(lambda: leaf.ended.is_set() or heard.heard(b"behind " + subject.encode()), "the message behind it, or the end")
    observer.flush()
    assert not heard.heard(b"denied")


def test_a_leaf_entry_is_for_leaves_only(site):
    """connections: [leaf] lets no client in."""
    from harness.natsio import Refused
    with site.decision("nkey", "connection_type"), pytest.raises(Refused):
        site.nkey_client("leaf").connect()


def test_leaf_seeds_are_no_client_logins(site):
    """The seeds of the site's own links do not open a client connection into the accounts that they belong to."""
    for name in ("mtls-leaf", "mtls-authx-leaf", "mtls-sys-leaf"):
        with site.wire() as wire:
            assert wire.connect(**wire.sign(site.key(name))) in ("Authorization Violation", "Authorization Violation'", ""), name


# --- two tokens in one request ---------------------------------------------------------------------------------------
def test_two_different_tokens(site, asker, token):
    one, other = token(), token("bms-reader")
    with site.wire() as wire, site.decision("oauth2", "conflicting_tokens"):
        assert wire.connect(user="oauthtoken", **{"pass": one}, auth_token=other) == "Authorization Violation"
    with site.wire() as wire, site.decision("oauth2", entry="mqtt-client"):
        assert wire.connect(user="oauthtoken", **{"pass": one}, auth_token=one) is None
    for connect in ({"user": "oauthtoken", "pass": one, "jwt": other}, {"auth_token": one, "jwt": other},
                    {"user": "oauthtoken", "pass": other, "auth_token": one, "jwt": other}):
        with site.decision("oauth2", "conflicting_tokens"):
            assert asker.ask(connect=connect).error
    with site.decision("oauth2", "conflicting_tokens"):
        assert asker.ask(client={"type": "mqtt", "mqtt_id": "x"}, connect={"user": "u", "pass": one, "auth_token": other}).error


def test_a_bad_token_does_not_fall_through(site, asker, token):
    """A method that was chosen and fails refuses: an nkey, a certificate or nobody's rights beside it do not help."""
    key, bad = site.key("t-plain"), token(exp="now-10")
    with site.decision("oauth2", "expired"), site.wire() as wire:
        assert wire.connect(auth_token=bad, **wire.sign(key)) == "Authorization Violation"
    chain = [site.ca().issue("mqtt-client.csc").pem, site.ca().pem]
    with site.decision("oauth2", "expired"):
        assert asker.ask(connect={"auth_token": bad}, tls={"version": "1.3", "verified_chains": [chain]}).error
    with site.decision("nkey", "nkey_unsigned"):
        assert asker.ask(connect={"nkey": key.public}).error


# --- documents that reach too far ------------------------------------------------------------------------------------
def entry(section, **fields):
    base = {"oauth2": {"azp": "x"}, "mtls": {"identity": "CN=x"}, "nkey": {"public_key": "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"}}
    if section == "noauth":
        return {"noauth": {"account": "CSC", **fields}}
    return {section: {"e": {**base[section], "account": "CSC", **fields}}}


TOO_FAR = [(section, account) for section in ("oauth2", "mtls", "nkey", "noauth") for account in ("SYS", "AUTH", "AUTHX")]


@pytest.mark.parametrize("section,account", TOO_FAR)
def test_an_entry_that_names_an_account_of_the_system(site, tmp_path, section, account):
    configured = Configured(site, tmp_path)
    good = configured.check(entry(section))
    assert good.returncode == 0, good.stderr
    done = configured.check(entry(section, account=account))
    assert done.returncode == 1 and f"{configured.file}:" in done.stderr and account in done.stderr, done
    assert configured.start(entry(section, account=account)).returncode == 1


def test_an_entry_that_names_sys_never_comes_into_force(site, token):
    """Reloaded into a running service it is refused, told and counted; the old document stays."""
    old = site.permissions.read_text()
    before, offset = site.metrics(), site.log.size()
    doc = site.read_permissions()
    doc["oauth2"]["mqtt-client"]["account"] = "SYS"
    try:
        site.write_permissions(doc, wait=False)
        until(lambda: site.metrics()["auth_permissions_reload_failures_total"] > before["auth_permissions_reload_failures_total"], "the failure to be counted")
        lines = until(lambda: [line for line in site.log.since(offset) if line["level"] == "error"], "an error in the log")
        assert any("SYS" in line.get("finding", "") and line["file"] == str(site.permissions) and line["line"] > 0 for line in lines), lines
        with site.decision("oauth2", account="CSC"), site.mqtt(token()):
            pass
    finally:
        site.write_permissions(old)


# What a variable may not hold, in a subject of trust.
VALUES = {"wildcard *": "a*", "wildcard >": "CSC>", "newline": "CSC\nSYS", "carriage return": "CSC\r", "blank": "CSC SYS", "tab": "CSC\tSYS",
          "escape": "CSC\x1b[2J", "nothing": ""}
PLACES = {"azp": ("oauth2", "azp"), "subject": ("oauth2", "subject"), "identity": ("mtls", "identity"), "key": ("nkey", "public_key"),
          "account": ("oauth2", "account")}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_a_variable_that_holds_more_than_a_value(site, tmp_path, place, value):
    section, field = PLACES[place]
    configured = Configured(site, tmp_path)
    text = {"identity": "CN=${THE_VALUE}"}.get(field, "${THE_VALUE}")
    done = configured.check(entry(section, **{field: text}), {"THE_VALUE": VALUES[value]})
    assert done.returncode == 1 and "${THE_VALUE}" in done.stderr, done
    assert not VALUES[value] or VALUES[value] not in done.stderr, "the value itself is shown"
    if place == "account":
        assert configured.start(entry(section, **{field: text}), {"THE_VALUE": VALUES[value]}).returncode == 1


LOGINS = ("AUTH_CALLOUT_NATS_NKEY_SEED", "NATS_TOKEN")  # a second login beside the file's ends the start before the document is read


@pytest.mark.parametrize("name", ["AUTH_CALLOUT_NATS_ISSUER_SEED", "AUTH_CALLOUT_NATS_XKEY_SEED", "AUTH_CALLOUT_NATS_NKEY_SEED", "NATS_TOKEN", "DB_PASSWORD"])
def test_a_variable_that_is_a_secret(site, tmp_path, name):
    secret = "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"
    configured = Configured(site, tmp_path)
    for section, field in PLACES.values() if name not in LOGINS else ():
        done = configured.check(entry(section, **{field: "${%s}" % name}), {name: secret})
        assert done.returncode == 1 and "${%s}" % name in done.stderr and "secret" in done.stderr, done
        assert secret not in done.stderr + done.stdout
    done = configured.start(entry("oauth2", azp="${%s}" % name), {name: secret})
    assert done.returncode == 1 and secret not in done.stderr + done.stdout


def test_a_variable_that_is_not_set(site, tmp_path):
    done = Configured(site, tmp_path).check(entry("oauth2", azp="${NOT_SET_AT_ALL}"))
    assert done.returncode == 1 and "${NOT_SET_AT_ALL}" in done.stderr


def test_a_variable_that_is_a_value(site, tmp_path):
    configured = Configured(site, tmp_path)
    done = configured.check(entry("oauth2", azp="${AZP}-x", account="${ACCOUNT}"), {"AZP": "client-7", "ACCOUNT": "CSC"})
    assert done.returncode == 0, done.stderr
    # and what a variable says is checked as if it stood there
    done = configured.check(entry("oauth2", account="${ACCOUNT}"), {"ACCOUNT": "SYS"})
    assert done.returncode == 1 and "${ACCOUNT}" in done.stderr or "SYS" in done.stderr


def test_variables_do_not_reach_into_rules(site, tmp_path):
    """Subjects of rules are never replaced: a variable there would decide rights."""
    done = Configured(site, tmp_path).check(entry("oauth2", permissions={"pub": {"allow": ["${SUBJECT}"]}}), {"SUBJECT": "$SYS.>"})
    assert "$SYS.>" not in done.stderr
    assert done.returncode == 1, done
