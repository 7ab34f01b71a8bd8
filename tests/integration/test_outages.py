"""What breaks and comes back: the identity provider, a nats-server, the service, its own user. It recovers by itself, with no wrong verdict."""
import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

import nats
import pytest

from harness import natsio, secrets
from harness.bus import AUTH_CALLOUT
from harness.callout import Asker, nats_jwt
from harness.mqtt import NOT_AUTHORISED, Refused
from harness.nkeys import Key
from harness.stream import DOWN, IN, LATE, REFUSED, Stream, mqtt_attempt, nats_attempt
from harness.wait import PATIENCE, SLOW, until

# Outages last as long as the stream needs to notice them: so many attempts that had no verdict.
NOTICED = 6


def password(token):
    return lambda _wire: {"user": "oauthtoken", "pass": token}


def leaves_up(site):
    return sum(1 for leaf in site.monitor("/leafz", "MTLS_MONITOR").get("leafs", ()) if leaf.get("account")) == 3


def noticed(stream, n=NOTICED):
    """Waits until n attempts have met the outage."""
    before = sum(a.outcome in (DOWN, LATE) for a in list(stream.attempts))
    until(lambda: sum(a.outcome in (DOWN, LATE) for a in list(stream.attempts)) >= before + n, "clients to meet the outage", timeout=4 * PATIENCE)


# --- its servers ---------------------------------------------------------------------------------------------------------------

def test_servers_with_blanks_between(new_site, monkeypatch):
    """Each of them may be connected to: the sandbox takes the list apart as the link does."""
    site = new_site()
    site.bus("stop", "csc/auth-callout")
    monkeypatch.setenv("NATS_URL", f"nats://{site.address}:{site.ports['NATS']} nats://{site.address}:{site.ports['SPARE_1']}")
    site.bus("start", "csc/auth-callout")
    assert site.http("/readyz")[0] == 200


# --- the identity provider -----------------------------------------------------------------------------------------------------

def others_get_in(site):
    """Clients that need no key of the provider."""
    for client in (site.mqtts(), site.nkey_client("plain"), site.nats()):
        with client:
            pass


def test_provider_down_at_start(new_site):
    site = new_site(callout_timeout=4)
    token = site.idp.token(exp="now+600")
    site.bus("stop", "demo-idp", "csc/auth-callout")
    (site.dir / "state/jwks.json").unlink()
    site.bus("start", "csc/auth-callout")
    ready, body = site.http("/readyz")
    keys = json.loads(body)["keys"]["jwks"]
    assert ready == 200 and (keys["status"], keys["keys"], keys["age_s"]) == ("unavailable", 0, -1) and keys["trouble"]
    with site.decision("oauth2", "keys_unavailable"), pytest.raises(Refused) as refused:
        site.mqtt(token).connect()
    assert refused.value.args[0] == NOT_AUTHORISED
    others_get_in(site)
    assert site.metrics()["auth_jwks_keys"] == 0 and site.metrics()["auth_jwks_fetch_failures_total"] >= 1
    site.bus("start", "demo-idp")
    until(lambda: nats_attempt(site, password(token))[0] == IN, "the keys to be fetched", timeout=40)
    assert json.loads(site.http("/readyz")[1])["keys"]["jwks"]["status"] == "ok"
    until(lambda: site.log.find(msg="keys of the token issuer are there"), "the log to say so")


def test_provider_down_at_start_and_required_for_readiness(new_site, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("readiness: { require: [jwks] }\n")
    site = new_site(callout_extra=extra)
    site.bus("stop", "demo-idp", "csc/auth-callout")
    (site.dir / "state/jwks.json").unlink()
    site.bus.configure(wait=2)
    site.bus("start", "csc/auth-callout", check=False)
    until(lambda: reachable(site) and site.http("/readyz")[0] == 503 and site.http("/livez")[0] == 200, "it to live, but not ready")
    site.bus("start", "demo-idp", check=False)
    until(lambda: site.http("/readyz")[0] == 200, "it to be ready", timeout=40)


def reachable(site):
    with contextlib.suppress(OSError):
        return site.http("/livez")[0] == 200


def test_cached_keys_survive_a_restart_without_the_provider(new_site):
    site = new_site()
    token = site.idp.token(exp="now+600")
    site.bus("stop", "demo-idp")
    site.bus("restart", "csc/auth-callout")
    with site.decision("oauth2"), site.mqtt(token):
        pass
    (site.dir / "state/jwks.json").write_text("{ broken")
    offset = site.log.size()
    site.bus("restart", "csc/auth-callout")
    assert [line for line in site.log.since(offset) if "jwks.cache-file" in line["msg"]], "a broken cache is told"
    others_get_in(site)


def test_provider_goes_and_comes_back_under_load(new_site):
    """Keys that are there stay in use; faulty answers of the provider change nothing."""
    site = new_site()
    with Stream(site) as stream:
        stream.flowing()
        for fault in ({"status": 500}, {"bytes": 2_000_000}, {"status": 302}, {"delay_ms": 300}):
            before = site.metrics()
            assert site.idp.post("/test?" + "&".join(f"{k}={v}" for k, v in fault.items()))[0] == 200
            site.bus("signal", "HUP", "csc/auth-callout")  # fetches anew
            until(lambda: site.metrics()["auth_jwks_fetches_total"] > before["auth_jwks_fetches_total"], "a fetch")
            if "delay_ms" not in fault:
                until(lambda: site.metrics()["auth_jwks_fetch_failures_total"] > before["auth_jwks_fetch_failures_total"], "its failure")
            stream.flowing()
            assert site.metrics()["auth_jwks_keys"] == before["auth_jwks_keys"] > 0
        site.bus("stop", "demo-idp")
        before = site.metrics()
        site.bus("signal", "HUP", "csc/auth-callout")
        until(lambda: site.metrics()["auth_jwks_fetch_failures_total"] > before["auth_jwks_fetch_failures_total"], "a failure")
        stream.flowing()
        site.bus("start", "demo-idp")
        stream.flowing()
    with site.mqtt(site.idp.token()):
        pass


def test_rotated_keys_of_the_provider(new_site):
    """An unknown kid fetches the keys once and waits for them: the first client with the new key gets in, no verdict in between."""
    site = new_site(callout_timeout=10)
    old = site.idp.token(exp="now+600")
    with site.decision("oauth2"), site.nats(old):
        pass
    before = site.metrics()
    assert site.idp.post("/rotate")[0] == 200
    new = site.idp.token(exp="now+600")
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(nats_attempt(site, password(new)))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [o[0] for o in outcomes] == [IN] * 12, outcomes
    assert site.metrics()["auth_jwks_fetches_total"] == before["auth_jwks_fetches_total"] + 1, "one fetch for all"
    assert nats_attempt(site, password(old))[0] == IN, "the old key is still published"


def test_a_flood_of_unknown_keys_costs_one_fetch(new_site):
    site = new_site(callout_timeout=10)
    made = [site.idp.token(header={"kid": f"unknown-{i}"}, exp="now+600") for i in range(40)]
    good = site.idp.token(exp="now+600")
    before, begin = site.metrics(), time.monotonic()
    for token in made:
        assert nats_attempt(site, password(token))[0] == REFUSED
    assert mqtt_attempt(site, "oauthtoken", good)[0] == IN
    now = site.metrics()
    most = 1 + (time.monotonic() - begin) // 10
    assert 1 <= now["auth_jwks_fetches_total"] - before["auth_jwks_fetches_total"] <= most
    assert now.failures("oauth2", "unknown_kid") == before.failures("oauth2", "unknown_kid") + 40
    # the provider drops the old keys meanwhile: within the pause nobody asks it; after it the first unknown kid does
    assert site.idp.post("/rotate?drop_old=1")[0] == 200
    new = site.idp.token(exp="now+600")
    until(lambda: nats_attempt(site, password(new))[0] == IN, "the pause to end", timeout=12 + PATIENCE, every=0.2)
    assert time.monotonic() - begin >= 9.5
    assert nats_attempt(site, password(good))[0] == REFUSED, "its key was withdrawn"


def peak_mib(pid, forget=False):
    """The most that the process ever had resident; forget: from now on."""
    if forget:
        with open(f"/proc/{pid}/clear_refs", "w") as clear:
            clear.write("5")
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status.read(), re.M)[1]) / 1024


def test_large_requests_are_bounded_in_bytes(new_site):
    """What waits for keys is large, and more than may be held: the rest is dropped and counted, what is held is answered, and all is well again."""
    site = new_site(callout_timeout=20)
    pid = int(site.bus("pid", "csc/auth-callout"))
    unknown, good = site.idp.token(header={"kid": "unknown"}, exp="now+600"), site.idp.token(exp="now+600")
    with contextlib.closing(Asker(site)) as asker:
        claims = asker.claims(connect={"user": "oauthtoken", "pass": unknown, "name": "n" * 480_000})
        payload = asker.xkey.seal(nats_jwt(asker.key, claims).encode(), site.key("xkey").public)
        assert site.idp.post("/test?delay_ms=4000")[0] == 200
        idle, before = peak_mib(pid, forget=True), site.metrics()
        waiting = [asker.put(payload, asker.xkey.public) for _ in range(100)]
        until(lambda: site.metrics()["auth_requests_total"] == before["auth_requests_total"] + 100, "all to have come")
        dropped = site.metrics()["auth_dropped_queue_full_total"] - before["auth_dropped_queue_full_total"]
        held = 32 * 2**20 // len(payload)
        assert dropped == 100 - held, f"{held} are held at a time"
        assert asker.silent(waiting[-1]), "it was dropped"
        until(lambda: site.metrics().failures("oauth2", "unknown_kid") == before.failures("oauth2", "unknown_kid") + held, "the held to be answered")
        assert site.idp.post("/test")[0] == 200
        assert site.metrics()["auth_errors_total"] == before["auth_errors_total"] + 100
        assert site.log.find(msg="overloaded: requests are dropped, their clients will try again")
        # the held bytes, what nats.c reads ahead on two links, and what workers have of one request each; a sanitizer keeps
        # freed memory for a while, so that the peak says nothing there
        assert SLOW > 1 or peak_mib(pid) < idle + 32 + 2 * 16 + 16, f"{peak_mib(pid):.0f} MiB at the most, {idle:.0f} before"
    with site.decision("oauth2"), site.mqtt(good):
        pass
    assert site.metrics()["auth_dropped_queue_full_total"] == before["auth_dropped_queue_full_total"] + dropped


# --- nats-server and the service -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("server", ["main", "mtls"])
@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_nats_server_restarts_under_load(new_site, server, how):
    site = new_site(callout_timeout=4)
    with Stream(site) as stream:
        stream.flowing()
        with stream.outage():
            site.bus("signal", how, f"csc/nats-{server}")
            noticed(stream)
            if server == "main":
                until(lambda: site.http("/readyz")[0] == 503, "readiness to tell")
                assert site.http("/livez")[0] == 200
            # a server that still waits for an answer to a callout ends some seconds after it was told to
            until(lambda: site.bus.run("pid", f"csc/nats-{server}").returncode != 0, "the old server to be gone", timeout=20)
            site.bus("start", f"csc/nats-{server}")
            until(lambda: leaves_up(site), "the links between the servers")
            until(lambda: site.http("/readyz")[0] == 200, "the service to be ready again")
        stream.flowing(2)
    if server == "main":
        assert site.metrics()["auth_nats_link_lost_total"] >= 1


@pytest.mark.parametrize("times", [3])
def test_the_service_is_killed_under_load(new_site, times):
    site = new_site(callout_timeout=3)
    with Stream(site) as stream:
        stream.flowing()
        for _ in range(times):
            with stream.outage():
                site.bus("signal", "KILL", "csc/auth-callout")
                noticed(stream)
                site.bus("start", "csc/auth-callout")
            stream.flowing()
    assert site.http("/readyz")[0] == 200


def test_what_stays_when_the_service_is_down(new_site):
    """Connected clients stay and work; the administrator, the links between servers and nobody else get in."""
    site = new_site(callout_timeout=2)
    with site.mqtt(site.idp.token()) as mqtt, site.nats(site.idp.token()) as plain, site.mqtts() as device:
        assert mqtt.subscribe("test/down", 1) == device.subscribe("test/down", 1) == 1
        heard = plain.subscribe("test.down")
        site.bus("stop", "csc/auth-callout")
        for sender in (mqtt, device):
            sender.publish("test/down", b"still here", 1)
            assert [c.receive()[1] for c in (mqtt, device)] == [b"still here"] * 2 and heard.receive().data == b"still here"
        with site.nats(seed=site.key("sys-admin").seed) as admin:
            assert json.loads(admin.request("$SYS.REQ.SERVER.PING").data)["server"]["name"]
        with contextlib.closing(site.leaf("CSC")) as leaf:
            assert leaf.connect(**leaf.sign(site.key("mtls-leaf"))) is None
        assert nats_attempt(site, lambda _wire: {})[0] == REFUSED, "anonymous: after the server's wait"
        with contextlib.closing(site.leaf("CSC")) as leaf:
            assert leaf.connect(), "a leaf without credentials"
        # the other server comes up with all three links; its administrator too
        assert not plain.closed.is_set() and not mqtt.closed.is_set() and not device.closed.is_set()
        device.close()
        site.bus("restart", "csc/nats-mtls")
        assert leaves_up(site)
        with site.nats(seed=site.key("sys-admin").seed, port="MTLS_NATS") as admin:
            assert json.loads(admin.request("$SYS.REQ.SERVER.PING").data)["server"]["name"]
        site.bus("start", "csc/auth-callout")
        with site.mqtts() as device:
            device.publish("test/down", b"back", 1)
            assert mqtt.receive()[1] == b"back"


def test_the_services_user_is_missing_and_comes_back(new_site):
    """Authorization errors again and again end a connection of the client library for good: the service builds it anew."""
    site = new_site(callout_timeout=1)
    conf = site.dir / "conf/main.conf"
    good = conf.read_text()
    conf.write_text(good.replace(site.key("service").public, Key("U").public))
    assert site.log.find(msg="link to NATS is up, subscription confirmed")
    offset = site.log.size()
    site.bus("restart", "csc/nats-main")
    until(lambda: site.metrics()["auth_nats_link_rebuilt_total"] >= 3, "links to be built anew", timeout=60)
    status, body = site.http("/readyz")
    assert status == 503 and json.loads(body)["nats"]["links_confirmed"] == 0 and "uthorization" in json.loads(body)["nats"]["trouble"]
    assert site.http("/livez")[0] == 200
    assert [line for line in site.log.since(offset) if "uthorization" in json.dumps(line)], "the log says why"
    told = len(site.log.since(offset))
    assert told < 200, "a line for each try floods the log"
    conf.write_text(good)
    site.bus("restart", "csc/nats-main")
    until(lambda: site.http("/readyz")[0] == 200, "the link to be up again", timeout=30)
    until(lambda: mqtt_attempt(site, "oauthtoken", site.idp.token())[0] == IN, "a client to get in")
    assert site.metrics()["auth_nats_links_up"] >= 1


def test_the_services_user_may_not_subscribe(new_site):
    """The link is up but would never get a request: not ready, told, and mended without a restart of the service."""
    site = new_site(callout_timeout=1)
    conf = site.dir / "conf/main.conf"
    good = conf.read_text()
    broken = good.replace('subscribe: { allow: ["$SYS.REQ.USER.AUTH", "$SYS.ACCOUNT.CLIENT.AUTH.ERR", "$SRV.>", "_INBOX.>"] }',
                          'subscribe: { allow: ["nothing"] }')
    assert broken != good
    conf.write_text(broken)
    offset = site.log.size()
    site.bus("restart", "csc/nats-main")
    line = until(lambda: site.log.find(offset, msg="the server did not confirm the subscription"), "the refusal in the log")[0]
    assert "must be allowed to subscribe" in line["error"]
    assert site.http("/readyz")[0] == 503
    mqtt = until(lambda: (found := json.loads(site.http("/readyz")[1])["mqtt"])["gate"] == "asking" and "ubscription" in found["trouble"] and found,
                 lambda: f"why MQTT logins wait: {site.http('/readyz')}")
    assert "does not let auth-callout ask for the streams" in mqtt["trouble"]
    conf.write_text(good)
    site.bus("restart", "csc/nats-main")
    until(lambda: site.http("/readyz")[0] == 200, "the link to be up again", timeout=30)
    with site.mqtt(site.idp.token()):
        pass


# --- SIGTERM -------------------------------------------------------------------------------------------------------------------

def run_second(site):
    """auth-callout-2 as a child of ours, so that its exit status can be seen."""
    site.bus("stop", "csc/auth-callout-2")
    log = (site.dir / "log/auth-callout-2.log").open("ab")
    process = subprocess.Popen([*AUTH_CALLOUT.split(), "--config", str(site.dir / "conf/auth-callout-2.yaml")], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log)
    log.close()
    until(lambda: ready(site, "HEALTH_2"), "the second one to be ready")
    return process


def ready(site, port):
    with contextlib.suppress(OSError):
        return site.http("/readyz", port)[0] == 200


async def crowd(site, n, token, stop_one):
    """n nats-py clients at once; stop_one(k) is called as the k-th is in. Returns what went wrong."""
    wrong, done = [], []

    async def one(i):
        try:
            client = await nats.connect(site.url(), user="oauthtoken", password=token, allow_reconnect=False, connect_timeout=40 * SLOW,
                                        max_reconnect_attempts=0, name=f"crowd-{i}")
        except Exception as error:
            wrong.append(repr(error))
            return
        done.append(client)
        stop_one(len(done))
    await asyncio.gather(*(one(i) for i in range(n)))
    for client in done:
        await client.close()
    return wrong


def test_one_of_two_is_stopped_while_500_clients_connect(new_site):
    site = new_site(callouts=2)
    token = secrets.note(site.idp.token(), "a token of the crowd")
    for round_ in range(2):
        second, stopped = run_second(site), []

        def stop_one(k):
            if k == 60 + 140 * round_:
                stopped.append(time.monotonic())
                second.send_signal(signal.SIGTERM)
        before = site.metrics()["auth_requests_total"]
        try:
            served = site.metrics("METRICS_2")["auth_requests_total"]
            wrong = natsio.run(crowd(site, 500, token, stop_one), 120 * SLOW)
            assert not wrong, f"{len(wrong)} of 500: {wrong[:3]}"
            assert stopped and second.wait(max(0.1, stopped[0] + 5 * SLOW - time.monotonic())) == 0, "exit 0 within 5 s"
        finally:
            if second.poll() is None:
                second.kill()
                second.wait()
        assert served == 0 and site.metrics()["auth_requests_total"] - before >= 200, "the first one took over"
    admitted = len(re.findall('"msg":"admitted"', (site.dir / "log/auth-callout-2.log").read_text()))
    assert admitted >= 60, "the second one had served its part"


@contextlib.contextmanager
def in_state(site, second, state):
    if state == "provider down":
        site.bus("stop", "demo-idp")
        second.send_signal(signal.SIGHUP)
    elif state == "nats down":
        site.bus("stop", "csc/nats-main")
        until(lambda: not ready(site, "HEALTH_2"), "it to notice")
    if state == "busy":
        with Stream(site) as stream:
            stream.flowing()
            yield
    else:
        yield


def test_exit_status_0_within_5_seconds(new_site):
    site = new_site(callouts=2)
    log = site.dir / "log/auth-callout-2.log"
    for state, sig in (("idle", signal.SIGTERM), ("idle", signal.SIGINT), ("busy", signal.SIGTERM), ("provider down", signal.SIGTERM),
                       ("nats down", signal.SIGTERM)):
        second = run_second(site)
        try:
            with in_state(site, second, state):
                os.kill(second.pid, sig)
                assert second.wait(5 * SLOW) == 0, state
        finally:
            if second.poll() is None:
                second.kill()
                second.wait()
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        assert lines[-1]["msg"] == "stopped", state
