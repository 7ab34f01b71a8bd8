"""`eventbus streams apply`, `status` and `watch` against bare servers of three sites (harness/plain.py)."""
import json
import re
import signal
import socket
import threading
import time

import pytest

from harness.plain import STREAMS, Plain
from harness.proxy import Proxy
from harness.wait import SLOW, until

COMMON = {"retention": "limits", "storage": "file", "num_replicas": 1, "max_bytes": 67108864}


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    bus = Plain(tmp_path_factory.mktemp("streams"))
    try:
        yield bus.up(apply=False)
    finally:
        bus.end()


@pytest.fixture
def fresh(bus):
    """The same servers with nothing in them, and the documents as they were."""
    for site in bus.sites.values():
        site.write()
        for stream in STREAMS:
            site.js(f"STREAM.DELETE.{stream}")
    yield bus
    for watcher in bus.watchers:
        watcher.end()


@pytest.fixture
def applied(fresh):
    for name in fresh.sites:
        done = fresh.streams(name, "apply")
        assert done.returncode == 0, done.stderr
    return fresh


def config(site, stream):
    return site.js(f"STREAM.INFO.{stream}")["config"]


def changed(site, stream, **fields):
    """Changes a stream as somebody else would."""
    answer = site.js(f"STREAM.UPDATE.{stream}", {**config(site, stream), **fields})
    assert "error" not in answer, answer


# --- apply ---------------------------------------------------------------------------------------------------------------
def test_apply_creates_in_order_and_is_idempotent(fresh):
    done = fresh.streams("csc", "apply")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(\S+): created$", done.stdout, re.M) == list(STREAMS)
    assert fresh.streams("csc", "apply").stdout == "".join(f"{s}: unchanged\n" for s in STREAMS)
    csc = fresh.site("csc")
    got = {s: config(csc, s) for s in STREAMS}
    for stream in STREAMS:
        assert {k: got[stream][k] for k in COMMON} == COMMON
    assert got["XL_RETAINED"]["subjects"] == ["$XL.r.broadcast.>", "$XL.r.cpc.*.command.>"]
    assert got["$MQTT_qos2in"]["first_seq"] == 10**12
    assert got["$MQTT_rmsgs"]["republish"] == {"src": "$MQTT.rmsgs.>", "dest": "$XL.r.>"}
    assert [s["external"]["api"] for s in got["$MQTT_msgs"]["sources"]] == ["$XL.1.api", "$XL.2.api"]
    assert all(s["opt_start_seq"] == 1 for n in ("$MQTT_msgs", "$MQTT_rmsgs") for s in got[n]["sources"])
    assert fresh.streams("cpc-1", "apply").returncode == 0
    assert config(fresh.site("cpc-1"), "$MQTT_qos2in")["first_seq"] == 2 * 10**12


def test_dry_run_changes_nothing(fresh):
    done = fresh.streams("csc", "apply", "--dry-run")
    assert done.returncode == 0 and done.stdout.count("would be created") == 4
    assert fresh.site("csc").js("STREAM.NAMES")["total"] == 0


def test_apply_shows_what_it_changes(applied):
    csc = applied.site("csc").write(maxBytes=134217728, maxAge="24h")
    changed(csc, "$MQTT_msgs", description="somebody's word", retention="interest")
    wanted = ["retention: interest -> limits", "max_bytes: 67108864 (64 MiB) -> 134217728 (128 MiB)", "max_age: 3h -> 24h"]
    dry = applied.streams("csc", "apply", "--dry-run")
    assert all(line in dry.stdout for line in wanted) and "$MQTT_msgs: would be updated" in dry.stdout, dry.stdout
    done = applied.streams("csc", "apply")
    assert done.returncode == 0 and all(line in done.stdout for line in wanted), done.stdout
    assert config(csc, "$MQTT_msgs")["max_bytes"] == 134217728
    assert config(csc, "$MQTT_msgs")["description"] == "somebody's word"
    assert applied.streams("csc", "apply").stdout.count("unchanged") == 4


def test_sources_follow_the_document(applied):
    csc = applied.site("csc")
    sources = config(csc, "$MQTT_msgs")["sources"]
    gone = json.loads(json.dumps(sources[1]).replace("cpc.2", "cpc.9").replace("$XL.2.", "$XL.9.").replace("$XL.up.2", "$XL.up.9"))
    changed(csc, "$MQTT_msgs", sources=[{k: v for k, v in sources[0].items() if k != "opt_start_seq"}, gone])
    done = applied.streams("csc", "apply")
    assert "source $MQTT.msgs.sensor.> of cpc-2: absent -> present" in done.stdout
    assert "source $MQTT.msgs.sensor.> of cpc-1, opt_start_seq: none -> 1" in done.stdout
    assert "source $MQTT.msgs.sensor.> of cpc-9: present -> absent (not in the site document" in done.stdout
    assert config(csc, "$MQTT_msgs")["sources"] == sources


def store(site, subject, count, size=1000):
    with site.client() as client:
        for i in range(count):
            assert "seq" in json.loads(client.request(subject + f".{i}", b"x" * size).data)


@pytest.mark.parametrize("what", ["storage", "bytes", "first_seq"])
def test_data_is_never_lost(fresh, what):
    csc = fresh.site("csc")
    if what == "first_seq":  # as an MQTT login makes it
        csc.js("STREAM.CREATE.$MQTT_qos2in", {"name": "$MQTT_qos2in", "subjects": ["$MQTT.qos2.in.>"], "discard": "new",
                                              "discard_new_per_subject": True, "max_msgs_per_subject": 1})
        says = "$MQTT_qos2in: first_seq: none -> 1000000000000 is refused: the first sequence counts only when a stream is made"
    else:
        if what == "storage":
            csc.js("STREAM.CREATE.$MQTT_msgs", {"name": "$MQTT_msgs", "subjects": ["$MQTT.msgs.>"], "storage": "memory"})
        else:
            assert fresh.streams("csc", "apply").returncode == 0
        store(csc, "$MQTT.msgs.a", 1200)
        csc.write(**{"storage": {}, "bytes": {"maxBytes": 1048576}}[what])
        says = {"storage": r"$MQTT_msgs: storage: memory -> file is refused: the storage of a stream cannot be changed, and it holds 1200",
                "bytes": r"$MQTT_msgs: max_bytes: 67108864 (64 MiB) -> 1048576 (1 MiB) is refused: it holds"}[what]
    before = {s: csc.js(f"STREAM.INFO.{s}").get("config") for s in STREAMS}
    for more in [[], ["--dry-run"]]:
        done = fresh.streams("csc", "apply", *more)
        assert done.returncode == 1 and says in done.stderr and "nothing was changed" in done.stderr, done.stderr
        assert done.stdout == ""
    assert {s: csc.js(f"STREAM.INFO.{s}").get("config") for s in STREAMS} == before
    if what == "bytes":
        done = fresh.streams("csc", "apply", "--allow-shrink")
        assert done.returncode == 0 and "stored messages may go" in done.stdout, done.stderr
        assert csc.js("STREAM.INFO.$MQTT_msgs")["state"]["bytes"] <= 1048576


def test_another_sites_server_is_refused(fresh):
    done = fresh.streams("csc", "apply", "--wait", "1s", server=fresh.site("cpc-1").url)  # which does not know the key
    assert done.returncode == 1
    other = fresh.site("cpc-1").seed.read_text()
    fresh.site("csc").folder.joinpath("other.nk").write_text(other)
    cpc = fresh.site("cpc-1")
    seed, cpc.seed = cpc.seed, fresh.site("csc").seed  # right key for the server below, document of the CPC
    try:
        done = fresh.streams("cpc-1", "apply", server=fresh.site("csc").url)
    finally:
        cpc.seed = seed
    assert done.returncode == 1 and 'has the domain "CSC", but the document is of the site cpc-1' in done.stderr, done.stderr
    assert fresh.site("csc").js("STREAM.NAMES")["total"] == 0


def test_replicas_want_a_cluster(fresh):
    fresh.site("csc").write(replicas=3)
    done = fresh.streams("csc", "apply")
    assert done.returncode == 1 and "wants 3 replicas, but server csc-main is not in a cluster" in done.stderr


@pytest.mark.parametrize("site", ["csc", "cpc-1"])
def test_what_the_server_would_refuse_is_refused_before(applied, site):
    """Also by a server with leaf remotes, which calls itself a cluster, and where the streams are there already."""
    place = applied.site(site)
    for options, says in (({"replicas": 3}, "is not in a cluster"), ({"maxBytes": 2**40}, "the account may keep")):
        place.write(**options)
        before = {stream: config(place, stream) for stream in STREAMS}
        for more in ([], ["--dry-run"]):
            done = applied.streams(site, "apply", *more)
            assert done.returncode == 1 and says in done.stderr, done.stdout + done.stderr
            assert {stream: config(place, stream) for stream in STREAMS} == before, "nothing was changed"


class OldServer:
    """A server that says it is an older one: a proxy that changes its first line."""

    def __init__(self, address, target):
        self.listener = socket.create_server((address, 4222))
        self.url = f"nats://{address}:4222"
        self.target = target
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection((self.target, 4222))
            near.sendall(far.recv(65536).replace(b'"version":"2.', b'"version":"2.11.9-was-2.'))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def test_an_old_server_is_refused_by_name_and_version(fresh):
    old = OldServer(f"{fresh.address}.200", fresh.site("csc").address)
    try:
        done = fresh.streams("csc", "apply", server=old.url)
    finally:
        old.close()
    assert done.returncode == 1 and "server csc-main is nats-server 2.11.9-was" in done.stderr and "from 2.14 on" in done.stderr, done.stderr
    assert fresh.site("csc").js("STREAM.NAMES")["total"] == 0


def test_no_server_is_told_after_the_given_time(fresh):
    begun = time.monotonic()
    done = fresh.streams("csc", "apply", "--wait", "1s", server=f"nats://{fresh.address}.250:4222")
    assert done.returncode == 1 and "no connection" in done.stderr and time.monotonic() - begun < 5 * SLOW, done.stderr


@pytest.mark.parametrize("verb", ["apply", "status", "watch"])
@pytest.mark.parametrize("url", ["nats://operator:very-secret@127.0.0.1:1", "very-secret@127.0.0.1", "nats://127.0.0.1:1, nats://very-secret@h"])
def test_a_password_in_the_url_is_refused_and_not_repeated(fresh, verb, url):
    done = fresh.streams("csc", verb, server=url)
    assert done.returncode == 1 and "user or password in the URL" in done.stderr and "--seed-file" in done.stderr, done.stderr
    assert "very-secret" not in done.stderr + done.stdout


def test_a_wrong_seed_is_told(fresh):
    csc, cpc = fresh.site("csc"), fresh.site("cpc-1")
    seed, csc.seed = csc.seed, cpc.seed
    try:
        done = fresh.streams("csc", "apply", "--wait", "1s")
    finally:
        csc.seed = seed
    assert done.returncode == 1 and "nats-streams" in done.stderr, done.stderr
    assert cpc.key.seed not in done.stderr + done.stdout


def test_apply_waits_for_a_server_that_starts_late(fresh):
    csc = fresh.site("csc")
    csc.stop()
    later = threading.Timer(1.0, csc.start)
    later.start()
    done = fresh.streams("csc", "apply")
    later.join()
    csc.up()
    assert done.returncode == 0 and done.stdout.count("created") == 4, done.stderr


# --- status --------------------------------------------------------------------------------------------------------------
def test_status_tells_what_is_wrong(applied):
    for name in applied.sites:
        applied.watch(name)
    applied.connected()
    done = applied.streams("csc", "status")
    assert done.returncode == 0 and done.stdout.count("connected") == 4 and "all as the document wants it" in done.stdout
    found = json.loads(applied.streams("cpc-1", "status", "--json").stdout)
    assert found["ok"] and found["site"] == "cpc-1" and found["problems"] == []
    assert {s["name"]: s["state"] for s in found["streams"]} == dict.fromkeys(STREAMS, "ok")
    assert {(s["stream"], s["from"], s["filter"], s["state"]) for s in found["sources"]} == {
        ("$MQTT_msgs", "csc", "$MQTT.msgs.broadcast.>", "connected"), ("$MQTT_msgs", "csc", "$MQTT.msgs.cpc.1.command.>", "connected"),
        ("$MQTT_rmsgs", "csc", "$XL.r.broadcast.>", "connected"), ("$MQTT_rmsgs", "csc", "$XL.r.cpc.1.command.>", "connected")}

    applied.proxy["1"].cut()
    try:
        until(lambda: applied.streams("csc", "status").returncode == 1, "the cut is not told")
        done = applied.streams("csc", "status")
        assert re.search(r"\$MQTT_msgs: source \$MQTT.msgs.sensor.> of cpc-1 is silent for [0-9.]+ s: the far end does not answer", done.stdout)
        assert len(re.findall("^.* cpc-2 +connected", done.stdout, re.M)) == 2, done.stdout
    finally:
        applied.proxy["1"].heal()
    applied.connected()


def test_status_tells_of_streams_that_are_not_as_they_should_be(applied):
    csc = applied.site("csc")
    csc.js("STREAM.DELETE.XL_RETAINED")
    changed(csc, "$MQTT_msgs", max_age=10**12 * 60, sources=config(csc, "$MQTT_msgs")["sources"][:1])
    found = json.loads(applied.streams("csc", "status", "--json").stdout)
    assert not found["ok"]
    text = "\n".join(found["problems"])
    assert "XL_RETAINED: there is no such stream: run `eventbus streams apply`" in text
    assert "$MQTT_msgs: max_age is 1000m, the document wants 3h" in text
    assert "$MQTT_msgs: source $MQTT.msgs.sensor.> of cpc-2 is absent, the document wants present" in text
    assert {s["name"]: s["state"] for s in found["streams"]}["$MQTT_msgs"] == "differs"


# --- watch ---------------------------------------------------------------------------------------------------------------
def names(site, stream="$MQTT_msgs"):
    return [s["external"]["api"] for s in config(site, stream).get("sources", ())]  # none while they are cured


def test_watch_puts_in_what_a_dead_one_left_out(applied):
    csc = applied.site("csc")
    sources = config(csc, "$MQTT_msgs")["sources"]
    foreign = json.loads(json.dumps(sources[0]).replace("cpc.1", "x").replace("$XL.1.", "$XL.9.").replace("$XL.up.1", "$XL.up.9"))
    changed(csc, "$MQTT_msgs", sources=[sources[1], foreign], description="mine")
    watcher = applied.watch("csc")
    watcher.told("missing source put in")
    # what the document does not name is left alone; an entry may be out for a moment while it is cured
    until(lambda: sorted(names(csc)) == ["$XL.1.api", "$XL.2.api", "$XL.9.api"], lambda: f"all three sources: {names(csc)}")
    assert config(csc, "$MQTT_msgs")["description"] == "mine"
    assert applied.streams("csc", "apply").returncode == 0
    assert watcher.end() == 0


def test_watch_leaves_streams_alone_that_were_never_applied(fresh):
    csc = fresh.site("csc")
    csc.js("STREAM.CREATE.$MQTT_msgs", {"name": "$MQTT_msgs", "subjects": ["$MQTT.msgs.>"], "retention": "interest"})
    watcher = fresh.watch("csc")
    watcher.told("as an MQTT login makes it")
    watcher.told("there is no such stream")
    assert "sources" not in config(csc, "$MQTT_msgs")
    assert watcher.end() == 0


def test_watch_follows_the_document(applied):
    csc = applied.site("csc")
    watcher = applied.watch("csc")
    watcher.told("connected to NATS")
    good = csc.document.read_text()
    csc.document.write_text(good.replace("cpc", "nothing"))
    assert "error" in watcher.told("the old one stays in force")[0]
    csc.document.write_text(good.replace('["1", "2"]', '["1"]'))
    watcher.told("the changed site document is in force")
    assert applied.streams("csc", "apply").returncode == 0
    time.sleep(1.5)
    assert names(csc) == ["$XL.1.api"]  # the old document's entry is not put back
    csc.document.write_text(good)
    until(lambda: len(names(csc)) == 2, "the entry of the new document is put in")
    assert watcher.end() == 0


def test_watch_takes_no_document_of_another_site(applied):
    """A file that was replaced by another site's would put that site's sources into the streams here."""
    csc = applied.site("csc")
    watcher = applied.watch("csc")
    watcher.told("connected to NATS")
    before = {stream: config(csc, stream) for stream in STREAMS}
    good = csc.document.read_text()
    csc.document.write_text(applied.site("cpc-1").document.read_text())
    assert "it is of the site cpc-1, this supervisor is of csc" in watcher.told("the old one stays in force")[0]["error"]
    changed(csc, "$MQTT_msgs", sources=before["$MQTT_msgs"]["sources"][:1])
    # the old one is in force: what was taken out is put in, by itself or with a source that is cured at that moment
    until(lambda: {stream: config(csc, stream) for stream in STREAMS} == before, watcher.log.read_text)
    csc.document.write_text(good)
    watcher.told("the changed site document is in force")
    assert watcher.end() == 0


def test_watch_touches_no_other_sites_streams(applied):
    """A name that leads elsewhere after a reconnect, to a server that takes the key: an address reused, a wrong document at the start."""
    csc, cpc = applied.site("csc"), applied.site("cpc-1")
    way = Proxy((f"{applied.address}.210", 4222), (csc.address, 4222)).start()
    own = cpc.key, cpc.seed
    watchers = [applied.watch("csc", way.url)]
    try:
        watchers[0].told("connected to NATS")
        cpc.stop()
        cpc.key, cpc.seed = csc.key, csc.seed
        cpc.write().start().up()
        before = {stream: config(cpc, stream) for stream in STREAMS}
        way.cut()
        way.target = (cpc.address, 4222)
        way.heal()
        watchers.append(applied.watch("csc", cpc.url))
        for watcher in watchers:
            for stream in ("$MQTT_msgs", "$MQTT_rmsgs"):
                line = until(lambda w=watcher, s=stream: [x for x in w.lines("cannot be looked at") if x["stream"] == s and x["level"] == "error"],
                             lambda w=watcher: w.log.read_text())[0]
                assert 'has the domain "CPC-1", but the document is of the site csc' in line["error"]
        assert {stream: config(cpc, stream) for stream in STREAMS} == before
        for watcher in watchers:
            # a cure at its own site that the cut interrupted is told; none is made here
            assert not [x for x in watcher.lines("put in") if x["level"] != "error"] and watcher.process.poll() is None
        way.cut()
        way.target = (csc.address, 4222)
        changed(csc, "$MQTT_msgs", sources=config(csc, "$MQTT_msgs")["sources"][:1])
        way.heal()
        until(lambda: len(names(csc)) == 2, lambda: f"{names(csc)}: {watchers[0].log.read_text()}")
    finally:
        for watcher in watchers:
            watcher.end()
        cpc.stop()
        cpc.key, cpc.seed = own
        cpc.write().start().up()
        way.close()


def test_watch_waits_for_its_server_and_ends_when_told(fresh):
    csc = fresh.site("csc")
    csc.stop()
    watcher = fresh.watch("csc")
    watcher.told("no connection to NATS")
    csc.start().up()
    assert fresh.streams("csc", "apply").returncode == 0
    watcher.told("connected to NATS")
    csc.stop()
    until(lambda: len(watcher.lines("no connection to NATS")) == 2, "the loss is told")
    csc.start().up()
    until(lambda: len(watcher.lines("connected to NATS")) == 2, "it comes back")
    assert watcher.process.poll() is None
    assert watcher.end(signal.SIGTERM) == 0
    csc.stop()
    again = fresh.watch("csc")
    again.told("no connection to NATS")
    assert again.end(signal.SIGTERM) == 0
    csc.start().up()


def test_a_cut_that_stays_is_not_cured_in_vain(applied):
    """While the far end does not answer nothing is taken out; when it does, at once."""
    watchers = [applied.watch(name) for name in applied.sites]
    applied.connected()
    applied.proxy["1"].cut()
    time.sleep(6)
    assert not [line for line in watchers[0].lines("taken out") if line["from"] == "cpc-1" and line["waited_s"] > 2]
    applied.proxy["1"].heal()
    healed = time.time()
    until(lambda: [line for line in watchers[0].lines("connected again") if line["waited_s"] > 5], "no cure", 10 * SLOW)
    assert time.time() - healed < 5 * SLOW
    for watcher in watchers:
        assert watcher.end() == 0
