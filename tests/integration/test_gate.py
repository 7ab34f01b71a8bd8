"""
MQTT logins are answered only while the site's streams are there as specified (mqtt.streams-file): on the first install, after a restore, when
somebody deletes a stream. A login that came before them would make nats-server create streams of its own.
"""
import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from federation.clients import Steady
from harness.bus import EVENTBUS
from harness.mqtt import Closed, Refused
from harness.plain import STREAMS
from harness.second import started
from harness.site import Site
from harness.wait import PATIENCE, SLOW, until

OPEN, DROPPED = "auth_mqtt_gate_open", "auth_dropped_mqtt_closed_total"
TIMEOUT = 3  # seconds that the servers of these tests wait for an answer: who got none tries again after that
NO_ANSWER = (Closed, Refused)  # the server ends it when that time is over, and says "not authorized" then


def streams(site, verb, *more):
    """The completed `eventbus streams`."""
    return subprocess.run([*EVENTBUS.split(), "streams", verb, "--site", site.dir / "conf/site.yaml", "--server", site.url(),
                           "--seed-file", site.key_file("streams"), *more], capture_output=True, text=True, timeout=PATIENCE * 2)


def apply(site):
    done = streams(site, "apply")
    assert done.returncode == 0, done


def as_specified(site):
    """No stream is one that an MQTT login has made."""
    found = json.loads(streams(site, "status", "--json").stdout)
    assert {stream["name"]: stream["state"] for stream in found["streams"]} == dict.fromkeys(STREAMS, "ok"), found


def gate(site):
    return json.loads(site.http("/readyz")[1])["mqtt"]


def opens(site):
    """A service that has just come up may not have asked yet."""
    until(lambda: gate(site)["gate"] == "open", lambda: gate(site))


def admin(site):
    """Who may do everything with the JetStream of the data account."""
    return site.nats(seed=site.key("nats-nack-user").seed)


def js(site, what, body=None):
    with admin(site) as client:
        return json.loads(client.request(f"$JS.API.{what}", json.dumps(body).encode() if body else b"").data)


def names(site):
    return set(js(site, "STREAM.NAMES").get("streams") or ())


def wanted(site):
    return {stream["name"]: stream for stream in json.loads((site.dir / "conf/streams.json").read_text())}


@pytest.fixture
def bare(run_root):
    """bare(**settings): the servers of a site and its auth-callout, without its streams, as on a first install that goes wrong."""
    made = []

    def start(*more, **settings):
        site = Site(run_root / f"bare-{len(list(run_root.iterdir()))}", callout_timeout=TIMEOUT, **settings)
        made.append(site)
        site.generate()
        erase(site)
        site.bus("start", "demo-idp", "csc/nats-main", "csc/auth-callout", *more)
        return site

    yield start
    for site in made:
        site.stop()


def erase(site):
    """Nothing is stored any more; the empty folder tells local/bus that this is no new site, whose streams it would make."""
    shutil.rmtree(site.dir / "jetstream", ignore_errors=True)
    (site.dir / "jetstream").mkdir()


@contextlib.contextmanager
def hammering(site, n=4, mtls=False):
    """Clients that never give up, as devices: with tokens, anonymous, with a certificate."""
    token = site.idp.token("mqtt-client", exp="now+900")
    where = [(site.address, site.ports["MQTT"], "oauthtoken", token, None), (site.address, site.ports["MQTT"], None, None, None)]
    if mtls:
        where.append((site.address, site.ports["MTLS_MQTT"], None, None, site.client_tls()))
    clients = [Steady(where[i % len(where)]) for i in range(n * len(where))]
    try:
        for client in clients:
            client.paho.connect_async(*client._addresses[0], 30)
            client.paho.loop_start()
        yield clients
    finally:
        for client in clients:
            client.stop()


def get_in(clients, since=0.0):
    until(lambda: all(c.connects and c.connects[-1] >= since and c.paho.is_connected() for c in clients),
          lambda: f"all to get in: {[(c.connects[-1:], c.losses[-1:]) for c in clients]}", timeout=4 * PATIENCE)


def dropped(site, more):
    """Waits until so many MQTT logins more have been dropped."""
    before = site.metrics()[DROPPED]
    until(lambda: site.metrics()[DROPPED] >= before + more, lambda: f"{more} more dropped logins, {site.metrics()[DROPPED] - before} so far",
          timeout=4 * PATIENCE)


def told(site, msg, **fields):
    return until(lambda: site.log.find(0, msg=msg, **fields), lambda: f"{msg!r} in the log: {site.log.since(0)[-5:]}")


# --- the first install, a restore --------------------------------------------------------------------------------------
@pytest.mark.timeout(240)
def test_a_first_install(bare):
    site = bare("csc/nats-mtls")
    with hammering(site, mtls=True) as clients:
        dropped(site, 12)
        assert site.metrics()[OPEN] == 0
        assert not any(c.connects for c in clients) and names(site) == set()
        assert gate(site)["gate"] == "closed" and set(gate(site)["streams"].values()) == {"missing"}
        line = told(site, "MQTT logins are dropped until the site's streams are as specified; their clients will try again")[0]
        assert "XL_RETAINED: there is no such stream: run `eventbus streams apply`" in line["trouble"] and line["level"] == "warn"
        assert sum(site.metrics().all_failures().values()) == 0, "a login was refused"
        for _ in range(5):  # others are let in meanwhile
            with site.nats(site.idp.token("mqtt-client")), site.nats():
                pass
        apply(site)
        begin = time.time()
        until(lambda: site.metrics()[OPEN] == 1, "the gate to open", timeout=2 * SLOW)
        get_in(clients)
        assert time.time() - begin < (TIMEOUT + 2) * SLOW, "whoever was dropped last came in later than after its next try"
    as_specified(site)
    told(site, "MQTT is open: the site's streams are as specified")
    assert sum(site.metrics().all_failures().values()) == 0


@pytest.mark.timeout(240)
def test_without_the_option_a_login_makes_streams(bare):
    """What this is all about; and that nothing changes where the option is unset."""
    site = bare(mqtt_gate="off")
    assert site.metrics()[OPEN] == 1 and gate(site) == {"gate": "off"}
    with site.mqtt(site.idp.token("mqtt-client")):
        pass
    assert {"$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_qos2in"} <= names(site) and "XL_RETAINED" not in names(site)
    live = js(site, "STREAM.INFO.$MQTT_qos2in")["config"]
    assert live.get("first_seq") != wanted(site)["$MQTT_qos2in"]["first_seq"]
    assert streams(site, "apply").returncode != 0
    assert site.metrics()[DROPPED] == 0


@pytest.mark.timeout(240)
def test_a_restore_without_the_streams(new_site):
    site = new_site(callout_timeout=TIMEOUT)
    with hammering(site, mtls=True) as clients:
        get_in(clients)
        assert site.metrics()[DROPPED] == 0
        site.bus("stop", "csc/nats-main", "csc/nats-mtls", "csc/streams-watch")
        erase(site)
        back = time.time()
        site.bus("start", "csc/nats-main", "csc/nats-mtls")
        dropped(site, 12)
        assert names(site) == set(), "somebody got in before the streams"
        assert not [c for c in clients if c.connects[-1] >= back]
        apply(site)
        get_in(clients, back)
    as_specified(site)
    site.bus("start", "csc/streams-watch")


@pytest.mark.timeout(240)
def test_a_plain_restart_keeps_nobody_waiting(new_site):
    """Requests that come before the gate is sure again wait for that, and none is dropped."""
    site = new_site(callout_timeout=TIMEOUT)
    with hammering(site) as clients:
        get_in(clients)
        for _ in range(6):
            site.bus("stop", "csc/nats-main")
            back = time.time()
            site.bus("start", "csc/nats-main")
            get_in(clients, back)
    assert site.metrics()[DROPPED] == 0


# --- what a stream must be ------------------------------------------------------------------------------------------
def test_a_stream_that_is_deleted(new_site):
    site = new_site(callout_timeout=TIMEOUT)
    token = site.idp.token("mqtt-client", exp="now+900")
    with site.mqtt(token) as stays:
        js(site, "STREAM.DELETE.XL_RETAINED")
        until(lambda: site.metrics()[OPEN] == 0, "the gate to close", timeout=7 * SLOW)
        assert gate(site)["streams"]["XL_RETAINED"] == "missing" and gate(site)["streams"]["$MQTT_msgs"] == "ok"
        with pytest.raises(NO_ANSWER):
            site.mqtt(token).connect()
        with site.nats(token):
            pass
        stays.barrier()  # who is in stays
        apply(site)
        until(lambda: site.metrics()[OPEN] == 1, "the gate to open", timeout=2 * SLOW)
        with site.mqtt(token):
            pass
    site.check_metrics()


WRONG = {
    # name of the case: the stream, what it is made with, what is told, whether `apply` mends it
    "too small": ("$MQTT_msgs", {"max_bytes": 1 << 20},
                  "$MQTT_msgs: max_bytes is 1048576 (1 MiB) instead of 67108864 (64 MiB): run `eventbus streams apply`", "differs", True),
    "no sources": ("$MQTT_rmsgs", {"sources": None}, "source $XL.r.sensor.> of cpc-1 is absent instead of present", "differs", True),
    "made by a login": ("$MQTT_qos2in", {"first_seq": None}, "$MQTT_qos2in: first_seq is none instead of ", "wrong", False),
    "by interest": ("$MQTT_msgs", {"retention": "interest", "sources": None}, "$MQTT_msgs: retention is interest instead of limits", "wrong", True),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_stream_that_is_not_as_specified(bare, case):
    name, changes, text, state, mends = WRONG[case]
    site = bare()
    for stream, config in wanted(site).items():
        if stream == name:
            config = {key: value for key, value in (config | changes).items() if value is not None}
        answer = js(site, f"STREAM.CREATE.{stream}", config)
        assert "error" not in answer, answer
    until(lambda: gate(site)["streams"][name] == state, lambda: gate(site))
    assert gate(site)["gate"] == "closed" and text in gate(site)["trouble"], gate(site)
    assert site.metrics()[OPEN] == 0
    closed = "MQTT is closed: the site's streams are not as specified"
    line = until(lambda: [x for x in site.log.find(0, msg=closed) if text in x["trouble"]], "the log to tell")
    assert line[-1]["level"] == "warn"
    with pytest.raises(NO_ANSWER):
        site.mqtt(site.idp.token("mqtt-client")).connect()
    if mends and streams(site, "apply").returncode != 0:
        js(site, f"STREAM.DELETE.{name}")
    elif not mends:
        js(site, f"STREAM.DELETE.{name}")
    apply(site)
    until(lambda: site.metrics()[OPEN] == 1, "the gate to open", timeout=2 * SLOW)
    with site.mqtt(site.idp.token("mqtt-client")):
        pass


def test_a_source_that_is_out_keeps_nobody_out(new_site):
    """As the supervisor takes one out and in; here for longer than two checks."""
    site = new_site(callout_timeout=TIMEOUT)
    config = js(site, "STREAM.INFO.$MQTT_msgs")["config"]
    assert config["sources"]
    site.bus("stop", "csc/streams-watch")
    answer = js(site, "STREAM.UPDATE.$MQTT_msgs", config | {"sources": config["sources"][1:]})
    assert "error" not in answer, answer
    token = site.idp.token("mqtt-client", exp="now+900")
    until(lambda: gate(site)["streams"]["$MQTT_msgs"] == "differs", lambda: gate(site))
    assert gate(site)["gate"] == "open" and "is absent instead of present" in gate(site)["trouble"]
    told(site, "MQTT stays open, but not all is well with the site's streams")
    with site.mqtt(token):
        pass
    before = site.log.size()
    site.bus("restart", "csc/nats-main")  # what was open opens again
    until(lambda: site.log.find(before, msg="link to NATS is up, subscription confirmed"), "the link")
    until(lambda: gate(site)["gate"] == "open", lambda: gate(site))
    assert gate(site)["streams"]["$MQTT_msgs"] == "differs"
    with site.mqtt(token):
        pass
    site.bus("restart", "csc/auth-callout")  # a service that knows of no better time stays closed
    until(lambda: gate(site)["gate"] == "closed", lambda: gate(site))
    apply(site)
    until(lambda: gate(site) == {"gate": "open", "streams": dict.fromkeys(STREAMS, "ok"), "trouble": ""}, lambda: gate(site))
    site.bus("start", "csc/streams-watch")


@pytest.mark.timeout(240)
def test_the_supervisor_cures_under_load(new_federation):
    fed = new_federation(sites=("csc", "cpc-1"), proxied=("cpc-1",))
    watch = fed.csc.dir / "log/streams-watch.log"
    dead = [site.metrics()[DROPPED] for site in fed]
    for _ in range(2):
        before = watch.read_text().count("taken out")
        fed.proxy["cpc-1"].cut()
        time.sleep(4)  # the length of the interruption
        fed.proxy["cpc-1"].heal()
        end, n = time.monotonic() + 12 * SLOW, 0
        while time.monotonic() < end and (watch.read_text().count("taken out") == before or n < 40):
            for site in fed:
                with site.mqtt():
                    n += 1
                assert site.metrics()[OPEN] == 1, gate(site)
        fed.healthy()
    assert "taken out" in watch.read_text()
    assert [site.metrics()[DROPPED] for site in fed] == dead


# --- the file ---------------------------------------------------------------------------------------------------------
def replace(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


BAD = {
    "cut off": (lambda text: text[:200], "not valid JSON"),
    "an object": (lambda text: "{}", "not a list of stream configurations"),
    "one is missing": (lambda text: json.dumps(json.loads(text)[1:]), "not defined"),
    "a stranger": (lambda text: json.dumps([*json.loads(text), {"name": "other"}]), "none of the site's streams"),
    "twice": (lambda text: json.dumps(json.loads(text) * 2), "defined twice"),
    "a text for a number": (lambda text: text.replace('67108864', '"64MiB"'), "not a whole number"),
}


def test_the_file_changes(new_site):
    site = new_site()
    path = site.dir / "conf/streams.json"
    good = path.read_text()
    failures = "auth_mqtt_streams_reload_failures_total"
    opens(site)
    for name, (change, text) in BAD.items():
        before, offset = site.metrics()[failures], site.log.size()
        replace(path, change(good))
        line = until(lambda: site.log.find(offset, msg="a changed file was not taken; the old stays in force"), f"{name}: a finding")[0]
        assert text in line["finding"] and line["file"] == str(path) and "eventbus render" in line["mend"], line
        until(lambda: site.metrics()[failures] == before + 1, failures)
        assert gate(site)["gate"] == "open" and gate(site)["trouble"] == ""
        with site.mqtt():
            pass
    # what can be mended keeps nobody out, what cannot does; and back
    larger = json.loads(good)
    larger[1]["max_bytes"] *= 2
    replace(path, json.dumps(larger))
    until(lambda: gate(site)["streams"]["$MQTT_msgs"] == "differs", lambda: gate(site))
    assert gate(site)["gate"] == "open"
    larger[1]["storage"] = "memory"
    replace(path, json.dumps(larger))
    until(lambda: gate(site)["gate"] == "closed", lambda: gate(site))
    assert gate(site)["streams"]["$MQTT_msgs"] == "wrong" and "storage is file instead of memory" in gate(site)["trouble"]
    replace(path, good)
    until(lambda: gate(site)["gate"] == "open", lambda: gate(site))
    site.check_metrics()


def test_a_bad_file_at_the_start(new_site):
    site = new_site()
    site.bus("stop", "csc/auth-callout")
    good = (site.dir / "conf/streams.json").read_text()
    replace(site.dir / "conf/streams.json", "[]")
    done = site.bus.run("start", "csc/auth-callout")
    assert done.returncode != 0 and "XL_RETAINED: not defined" in done.stdout + done.stderr, done
    replace(site.dir / "conf/streams.json", good)
    site.bus("start", "csc/auth-callout")


def test_readiness_may_wait_for_it(bare, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("readiness:\n  require: [mqtt-streams]\n")
    site = bare()
    assert site.http("/readyz")[0] == 200
    site.bus("stop", "csc/auth-callout")
    site.bus.configure(callout_extra=extra, wait=2)
    site.bus("generate")
    done = site.bus.run("start", "csc/auth-callout")
    assert done.returncode != 0 and site.http("/readyz")[0] == 503 and site.metrics()["auth_ready"] == 0
    with site.nats():  # not ready for MQTT is no reason to leave the others unanswered
        pass
    apply(site)
    until(lambda: site.http("/readyz")[0] == 200, lambda: site.http("/readyz"))


# --- asking ---------------------------------------------------------------------------------------------------------
def test_a_server_that_does_not_let_it_ask(new_site):
    """A main server with the configuration of an earlier release: nothing is known, and it is told why."""
    site = new_site(callout_timeout=TIMEOUT)
    conf = site.dir / "conf/main.conf"
    text = conf.read_text()
    site.bus("stop", "csc/nats-main", "csc/auth-callout")
    old, n = re.subn(r'publish: \{ allow: \[[^\]]*STREAM\.INFO\.XL_RETAINED"[^\]]*qos2in"\s*\] \}', 'publish: { deny: [">"] }', text)
    assert n == 1
    conf.write_text(old)
    site.bus("start", "csc/nats-main", "csc/auth-callout")
    until(lambda: "does not let auth-callout ask" in gate(site)["trouble"], lambda: gate(site))
    assert gate(site)["gate"] == "asking" and "ermissions" in gate(site)["trouble"] and "eventbus render" in gate(site)["trouble"]
    with site.nats():
        pass
    with pytest.raises(NO_ANSWER):
        site.mqtt().connect()
    assert site.metrics()[DROPPED] >= 1
    conf.write_text(text)
    site.bus("restart", "csc/nats-main")
    until(lambda: gate(site)["gate"] == "open", lambda: gate(site))
    with site.mqtt():
        pass


@pytest.mark.timeout(240)
def test_a_cluster_with_a_node_down(new_federation):
    fed = new_federation(sites=("csc",), replicas=3)
    site = fed.csc
    opens(site)

    def gets_in(node):
        try:
            with site.mqtt(node=node):
                return True
        except NO_ANSWER:  # the server's own: its sessions have no leader yet
            return False
    for node in (1, 3):
        fed.kill(f"csc/nats-main-{node}")
        fed.bus("restart", "csc/auth-callout")
        until(lambda: gate(site)["gate"] == "open", lambda: gate(site), timeout=2 * PATIENCE)
        until(lambda: gets_in(1), "an MQTT client to get in at the second node", timeout=4 * PATIENCE)
        fed.start(f"csc/nats-main-{node}")
        until(lambda: gets_in(node - 1), "an MQTT client to get in at the node that was down", timeout=4 * PATIENCE)
        assert gate(site)["gate"] == "open"
    assert site.metrics()[DROPPED] == 0


@contextlib.contextmanager
def closing(address):
    """Takes connections and ends them at once, as a load balancer with nobody behind it does."""
    def serve():
        with contextlib.suppress(OSError):
            while True:
                server.accept()[0].close()

    with socket.create_server((address, 0), backlog=64) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield "nats://{}:{}".format(*server.getsockname())
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.timing
def test_beside_an_address_that_closes(new_site):
    """The gate opens with the links, not when it is its turn to connect; and an outage is told once, not with every reason anew."""
    def state():
        return json.loads(site.http("/readyz", "HEALTH_2")[1])["mqtt"]

    site = new_site(callouts=2)
    site.bus("stop", "csc/auth-callout", "csc/auth-callout-2")
    begin, took = (site.dir / "log/auth-callout-2.log").stat().st_size, []
    with closing(site.address) as url, started(site, lambda doc: doc["nats"].update(url=f"{site.url()},{url}")) as (_, log):
        until(lambda: log.find(begin, msg="MQTT is open: the site's streams are as specified"), "the gate to open")
        for seconds in (2, 4, 3):
            offset = log.size()
            site.bus("stop", "csc/nats-main")
            time.sleep(seconds)  # the length of the outage
            site.bus("start", "csc/nats-main")
            until(lambda offset=offset: log.find(offset, msg="link to NATS is up, subscription confirmed"), "a link")
            up = time.monotonic()
            until(lambda: state()["gate"] == "open" and not state()["trouble"], lambda: state())
            took.append(time.monotonic() - up)
            told = [line["msg"] for line in log.since(offset) if line["msg"].startswith("MQTT")]
            assert len(told) <= 3, told
    assert min(took) < 0.6, took


def few_connections(site, n):
    """The account of auth-callout may have so many, from the next start of the server on. The one that hears of refusals takes none of them."""
    conf = site.dir / "conf/main.conf"
    text = conf.read_text()
    assert text.count("\n  AUTHX {\n") == 1
    conf.write_text(text.replace("\n  AUTHX {\n", f"\n  AUTHX {{\n    limits: {{ max_connections: {n} }}\n"))
    conf = site.dir / "conf/auth-callout.yaml"
    text = conf.read_text()
    assert text.count("server-refusals: true") == 1
    conf.write_text(text.replace("server-refusals: true", "server-refusals: false"))
    site.bus("restart", "csc/auth-callout")


def test_a_link_that_never_comes_up(new_site):
    """One link is refused again and again, the others stand: nothing was lost, so the gate is not in doubt each time."""
    site = new_site(callout_timeout=TIMEOUT)
    few_connections(site, 2)
    for verb in ("stop", "start"):  # the last to connect is the second link
        site.bus(verb, "csc/nats-main", "csc/auth-callout")
    rebuilt = "auth_nats_link_rebuilt_total"

    def refused(times):
        before = site.metrics()[rebuilt]
        until(lambda: site.metrics()[rebuilt] >= before + times, "links to be built anew", timeout=4 * PATIENCE)

    refused(2)
    until(lambda: gate(site)["gate"] == "open", "the gate to open")
    offset = site.log.size()
    refused(3)
    assert gate(site)["gate"] == "open" and not [line for line in site.log.since(offset) if line["msg"].startswith("MQTT")]


def test_a_server_that_takes_no_more(new_site):
    """A link is in first, the connection that asks is refused: the server's words say why."""
    site = new_site(callout_timeout=TIMEOUT)
    few_connections(site, 1)
    for _ in range(10):
        site.bus("stop", "csc/nats-main")
        site.bus("start", "csc/nats-main")
        if until(lambda: (ready := json.loads(site.http("/readyz")[1])) and (ready["nats"]["links_confirmed"] or ready["mqtt"]["gate"] == "open") and ready,
                 "one of them to be in", timeout=4 * PATIENCE)["nats"]["links_confirmed"]:
            break
    said = "no link to NATS to ask for the streams over: "
    trouble = until(lambda: (text := gate(site)["trouble"]).startswith(said) and text, lambda: f"the reason: {gate(site)}", timeout=4 * PATIENCE)
    assert "uthorization" in trouble or "onnections exceeded" in trouble, trouble
