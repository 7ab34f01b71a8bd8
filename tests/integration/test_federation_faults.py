"""
What breaks between the sites and heals by itself: servers stopped and restarted, links cut, the service or the supervisor of a site gone, and
all of it at once. Nothing acknowledged is lost, nothing is stored twice, and stored messages cross again within seconds.
"""
import contextlib
import os
import threading
import time

import pytest

from federation.load import ALL, LOCAL, ONE, ONE_2, THREE, UP, UP_2, UP_OTHER, Load, cut, resume_times, stopped
from federation.sites import ThreeSites
from federation.streams import Streams, counts
from harness.mqtt import Closed, Refused
from harness.wait import PATIENCE, SLOW, until

pytestmark = pytest.mark.timeout(300)
RESUME = 3.0 * SLOW         # seconds until stored messages cross again, on a machine that is not crowded
UNSUPERVISED = 75.0 * SLOW  # without the supervisor
GAP = 1.0 * SLOW            # seconds that a client of a site may wait for the next of the messages that come steadily
REPEATS = 40                # messages in flight as a connection breaks come again: MQTT allows it
RUNS = int(os.environ.get("EB_FAULT_RUNS", "20"))
SEVEN = (UP, UP_2, UP_OTHER, ALL, ONE, ONE_2, LOCAL)


@pytest.fixture(scope="module")
def sites(run_root):
    found = ThreeSites(run_root / "faults", proxied=("cpc-1", "cpc-2"), callout_timeout=3)
    yield found.up()
    found.end()


def resume_limit():
    """Where more than two processes wait for each core, others' work is measured too."""
    return RESUME * max(1.0, os.getloadavg()[0] / (2 * os.cpu_count()))


def judge(load, outage, record, name):
    limit = resume_limit()
    verdict = load.judge().clean()
    times = resume_times(load, verdict, outage)
    record(name, {"resumed": times, "acknowledged": {flow: len(keys) for flow, keys in verdict.acked.items()}, "repeats": verdict.repeats})
    print(f"{name}: resumed after {times}, acknowledged {({f: len(k) for f, k in verdict.acked.items()})}, repeats {verdict.repeats}")
    late = {key: seconds for key, seconds in times.items() if seconds > limit}
    assert not late, f"resumed only after {late}, {limit:.1f} s is the limit"
    assert all(n <= REPEATS for n in verdict.repeats.values()), f"came again: {verdict.repeats}"
    return verdict


def csc_stopped(sites, record, seconds, rate=15):
    """The whole site is gone, its services too."""
    names = sites.processes("csc")
    with Load(sites, SEVEN, rate, listen=("main", "mtls")) as load:
        with stopped(sites, *names, first="csc/nats-main") as outage:
            time.sleep(seconds)
        sites.healthy()
        load.flowing(timeout=4 * PATIENCE)
        gap = load.receivers["cpc-1", "main"].longest_gap(outage.begin, time.time()), load.receivers["cpc-1", "mtls"].longest_gap(outage.begin, time.time())
        judge(load, outage, record, f"CSC stopped {seconds} s")
    assert max(gap) <= GAP, f"clients of CPC-1 waited {gap} s"


def csc_restarted(sites, record, rate=100):
    with Load(sites, THREE, rate) as load:
        with stopped(sites, "csc/nats-main") as outage:
            time.sleep(0.5)
        load.flowing(timeout=4 * PATIENCE)
        judge(load, outage, record, "CSC restarted at once")


def cpc_restarted(sites, record, rate=100):
    with Load(sites, THREE, rate) as load:
        with stopped(sites, "cpc-1/nats-main") as outage:
            time.sleep(0.5)
        load.flowing(timeout=4 * PATIENCE)
        judge(load, outage, record, "CPC restarted at once")


def leaf_cut(sites, record, seconds, rate=50):
    with Load(sites, THREE, rate) as load:
        with cut(sites, "cpc-1", "cpc-2") as outage:
            time.sleep(seconds)
        load.flowing(timeout=4 * PATIENCE)
        judge(load, outage, record, f"leaf cut {seconds} s")


# An outage longer than 10 s is the hard one: by then the far side has forgotten its consumers, and requests that wait for nobody are under way.

@pytest.mark.timing
def test_csc_stopped_under_load(sites, record_property):
    csc_stopped(sites, record_property, 11)


@pytest.mark.timing
def test_csc_restarted_at_once(sites, record_property):
    csc_restarted(sites, record_property)


@pytest.mark.timing
def test_cpc_restarted_at_once(sites, record_property):
    cpc_restarted(sites, record_property)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_csc_stopped_for_a_minute(sites, record_property):
    csc_stopped(sites, record_property, 60, rate=30)


@pytest.mark.long
@pytest.mark.timeout(RUNS * 60 + 120)
@pytest.mark.parametrize("case", ["a", "b", "c", "d"])
def test_again_and_again(sites, record_property, case):
    """Each case many times (EB_FAULT_RUNS, 20)."""
    for _ in range(RUNS):
        {"a": lambda: csc_stopped(sites, record_property, 15), "b": lambda: csc_restarted(sites, record_property),
         "c": lambda: cpc_restarted(sites, record_property), "d": lambda: leaf_cut(sites, record_property, 15)}[case]()
        sites.healthy()


# --- the link ------------------------------------------------------------------------------------------------------------------

@pytest.mark.timing
def test_leaf_cut_and_what_is_retained_meanwhile(sites, record_property):
    """Changed, set and cleared on both sides while they cannot see each other: right everywhere afterwards, for those who ask later too."""
    csc, cpc = sites.places["csc"], sites.places["cpc-1"]
    with csc.mqtt("main", "publisher") as c, cpc.mqtt("mtls", "publisher") as d:
        def put(client, topic, value):
            client.publish(topic, value, 1, retain=True)
        for client, base in ((c, "broadcast/kept"), (c, "cpc/1/command/kept"), (d, "sensor/kept")):
            put(client, f"{base}/change", b"old")
            put(client, f"{base}/clear", b"old")
        old = {"change": b"old", "clear": b"old"}
        new = {"change": b"new", "set": b"new"}

        def views(what):
            """Every site's view, on both servers."""
            for place, bases in ((csc, ("broadcast/kept", "cpc/1/command/kept", "cpc/1/sensor/kept")), (cpc, ("broadcast/kept", "command/kept", "sensor/kept")),
                                 (sites.places["cpc-2"], ("broadcast/kept",))):
                for server in ("main", "mtls"):
                    place.retained([f"{base}/#" for base in bases], server, timeout=PATIENCE,
                                   expect={f"{base}/{name}": value for base in bases for name, value in what.items()})
        views(old)
        with Load(sites, THREE, 50) as load:
            with cut(sites, "cpc-1", "cpc-2") as outage:
                for client, base in ((c, "broadcast/kept"), (c, "cpc/1/command/kept"), (d, "sensor/kept")):
                    put(client, f"{base}/change", b"new")
                    put(client, f"{base}/clear", b"")
                    put(client, f"{base}/set", b"new")
                assert not sites.links("cpc-1")
                time.sleep(12)
                assert cpc.retained(["broadcast/kept/#"]) == {f"broadcast/kept/{name}": value for name, value in old.items()}
            load.flowing(timeout=4 * PATIENCE)
            views(new)
            judge(load, outage, record_property, "leaf cut 12 s")
        for client, base in ((c, "broadcast/kept"), (c, "cpc/1/command/kept"), (d, "sensor/kept")):
            for name in new:
                put(client, f"{base}/{name}", b"")
        views({})


@pytest.mark.timing
def test_leaf_cut_ten_times(sites, record_property):
    """Shorter and longer than what the supervisor takes for silence; after each it goes on in time."""
    outages = []
    with Load(sites, THREE, 100) as load:
        for n in range(10):
            with cut(sites, "cpc-1") as outage:
                time.sleep((0.3, 1.0, 3.0)[n % 3])
            load.flowing(timeout=4 * PATIENCE)
            outages.append((outage, resume_limit()))
        verdict = load.judge().clean()
        times = [resume_times(load, verdict, outage) for outage, _limit in outages]
        record_property("ten cuts", {"resumed": times, "acknowledged": {flow: len(keys) for flow, keys in verdict.acked.items()}, "repeats": verdict.repeats})
        print(f"ten cuts: resumed after {times}, repeats {verdict.repeats}")
        late = [one for one, (_outage, limit) in zip(times, outages) if max(one.values()) > limit]
        assert not late, f"resumed only after {late}"
        assert all(n <= REPEATS for n in verdict.repeats.values()), verdict.repeats
    sites.healthy()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [5, 25])
def test_leaf_black_holed(sites, record_property, seconds):
    """Nothing passes, but no connection is closed: nobody is told."""
    with Load(sites, THREE, 50) as load:
        with cut(sites, "cpc-1", "cpc-2", closed=False) as outage:
            time.sleep(seconds)
        load.flowing(timeout=4 * PATIENCE)
        judge(load, outage, record_property, f"leaf black-holed {seconds} s")
    sites.healthy()


SHORT = {"CSC stopped": lambda sites: stopped(sites, "csc/nats-main"), "CPC stopped": lambda sites: stopped(sites, "cpc-1/nats-main"),
         "leaf cut": lambda sites: cut(sites, "cpc-1", "cpc-2"), "leaf black-holed": lambda sites: cut(sites, "cpc-1", "cpc-2", closed=False)}


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", SHORT)
def test_short_interruption_under_load(sites, record_property, case):
    """300 messages a second in each direction, an interruption of a second: where consumers are still there, with what they had sent ahead."""
    with Load(sites, THREE, {"up": 300, "all": 150, "one": 150}) as load:
        with SHORT[case](sites) as outage:
            time.sleep(1)
        load.flowing(timeout=4 * PATIENCE)
        time.sleep(2)
        verdict = load.judge().clean()
        found = {"resumed": resume_times(load, verdict, outage), "acknowledged": {flow: len(keys) for flow, keys in verdict.acked.items()}}
        record_property(case, found)
        print(case, found)
        assert all(n > 150 for n in found["acknowledged"].values()), "too little was sent to say anything"
    sites.healthy()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_leaf_cut_for_long_ten_times(sites, record_property):
    for _ in range(10):
        leaf_cut(sites, record_property, 12)


def test_subscribers_of_everything_see_no_helper_traffic(sites):
    """Clients of # while links break, supervisors ask and sources are set up anew."""
    got = []
    with contextlib.ExitStack() as stack:
        for name, place in sites.places.items():
            for server in ("main", "mtls"):
                def seen(topic, payload, _qos, retain, _dup, name=name):
                    if not retain:
                        got.append((name, topic, payload[:80]))
                client = stack.enter_context(place.listener(server, "wide", seen))
                assert client.subscribe("#", 1) == 1
        with cut(sites, "cpc-1", "cpc-2"):
            time.sleep(3)
        sites.healthy()
        sites.restart("cpc-1/streams-watch", "csc/streams-watch")
        stack.enter_context(cut(sites, "cpc-2"))
        time.sleep(1)
    sites.healthy()
    assert not got, f"{len(got)} messages: {got[:10]}"


# --- the services --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("down", ["cpc-1", "csc"])
def test_auth_callout_of_one_site_down(sites, down):
    """Links and connected clients stay; new clients of that site are refused; other sites do not notice."""
    there, others = sites.places[down], [place for name, place in sites.places.items() if name != down]
    with Load(sites, (UP, UP_2, ALL, ONE, LOCAL), 20, listen=("main", "mtls")) as load:
        clients = {**load.receivers, **load.senders}
        before = {key: len(client.connects) for key, client in clients.items()}
        links = {"CSC", "LaunchLayer"}
        assert sites.links("cpc-1") == sites.links("cpc-2") == links
        sites.stop(f"{down}/auth-callout")
        for server in ("main", "mtls"):
            with pytest.raises((Refused, Closed)):
                there.mqtt(server, "wide").connect()
            for other in others:
                with other.mqtt(server, "wide") as client:
                    assert client.subscribe("local/x", 1) == 1
        load.flowing()
        assert sites.links("cpc-1") == sites.links("cpc-2") == links
        # a link that breaks meanwhile comes back without it
        with cut(sites, "cpc-1"):
            until(lambda: not sites.links("cpc-1"), "the link to be gone")
        until(lambda: sites.links("cpc-1") == links, "the link to be back")
        load.flowing(timeout=4 * PATIENCE)
        sites.start(f"{down}/auth-callout")
        for server in ("main", "mtls"):
            with there.mqtt(server, "wide"):
                pass
        load.judge().clean()
        assert before == {key: len(client.connects) for key, client in clients.items()}, "clients were thrown out"


@pytest.mark.timing
def test_a_dead_supervisor_costs_only_time(sites, record_property):
    """At CPC-1 nobody watches: what comes from the CSC waits longer, as it would have before there was a supervisor, and is not lost."""
    sites.kill("cpc-1/streams-watch")
    try:
        with Load(sites, THREE, 50) as load:
            with stopped(sites, "csc/nats-main") as outage:
                time.sleep(0.5)
            load.flowing(timeout=UNSUPERVISED)
            verdict = load.judge().clean()
            times = resume_times(load, verdict, outage)
            print(f"no supervisor at CPC-1: resumed after {times}")
            record_property("no supervisor at CPC-1", times)
            assert all(seconds <= (UNSUPERVISED if site == "cpc-1" else resume_limit()) for (_flow, site), seconds in times.items()), times
    finally:
        sites.start("cpc-1/streams-watch")
    sites.healthy()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_supervisor_at_all(sites, record_property):
    everyone = [f"{name}/streams-watch" for name in sites.sites]
    sites.stop(*everyone)
    try:
        with Load(sites, THREE, 50) as load:
            with cut(sites, "cpc-1", "cpc-2") as outage:
                time.sleep(15)
            load.flowing(timeout=UNSUPERVISED)
            verdict = load.judge().clean()
            times = resume_times(load, verdict, outage)
            record_property("no supervisor", times)
            assert all(seconds <= UNSUPERVISED for seconds in times.values()), times
    finally:
        sites.start(*everyone)
    sites.healthy()


def test_the_supervisor_is_killed_between_its_two_steps(sites):
    """Whenever it ends, its successor puts in again what is missing."""
    with Load(sites, THREE, 50) as load:
        end, killed = threading.Event(), []

        def kill():
            while not end.is_set():
                for name in ("cpc-1/streams-watch", "csc/streams-watch"):
                    sites.kill(name)
                    sites.start(name)
                    killed.append(name)
        thread = threading.Thread(target=kill)
        with cut(sites, "cpc-1", "cpc-2"):
            time.sleep(3)
        thread.start()
        time.sleep(4)
        end.set()
        thread.join()
        sites.healthy(timeout=UNSUPERVISED)
        load.flowing(timeout=UNSUPERVISED)
        load.judge().clean()
    assert len(killed) >= 4


# --- everything ----------------------------------------------------------------------------------------------------------------

def test_restart_of_everything(sites):
    """What is on disk is there again: retained messages, sessions and what waits in them, at every site, and the links."""
    places = sites.places
    topics = {"csc": ("broadcast/disk", {"csc": "broadcast/disk", "cpc-1": "broadcast/disk", "cpc-2": "broadcast/disk"}),
              "cpc-1": ("sensor/disk", {"cpc-1": "sensor/disk", "csc": "cpc/1/sensor/disk"})}
    sessions = {}
    for site, place in places.items():
        for server in ("main", "mtls"):
            seen = [there[site] for _topic, there in topics.values() if site in there]
            make = (lambda place=place, site=site, server=server: place.mqtt(server, "wide", client_id=f"disk-{site}-{server}", clean=False))
            with make() as client:
                client.subscribe([(topic + suffix, 2) for topic in seen for suffix in ("", "/waiting")])
            sessions[site, server] = make, seen
    for site, (topic, _there) in topics.items():
        with places[site].mqtt("mtls", "publisher") as client:
            client.publish(topic, b"kept", 1, retain=True)
            for n in range(20):
                client.publish(topic + "/waiting", f"{n}".encode(), 1 + n % 2)
    for site, place in places.items():
        def arrived(site=site, place=place):
            with place.observer() as client:
                stored = counts(Streams(client).read(), r"disk\.waiting$")
            return sum(stored.values()) == 20 * sum(site in there for _topic, there in topics.values())
        until(arrived, f"what waits to be stored at {site}")
    before = {site: {name: place.ask(f"STREAM.INFO.{name}")["state"]["messages"] for name in ("$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_sess")}
              for site, place in places.items()}
    sites.bus("down")
    sites.bus("up", timeout=180)
    sites.healthy()
    after = {site: {name: place.ask(f"STREAM.INFO.{name}")["state"]["messages"] for name in ("$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_sess")}
             for site, place in places.items()}
    assert after == before
    for site, place in places.items():
        wanted = {there[site]: b"kept" for _topic, there in topics.values() if site in there}
        for server in ("main", "mtls"):
            place.retained(list(wanted), server, expect=wanted)
    for (site, server), (make, seen) in sessions.items():
        with make() as client:
            got = {topic + suffix: [] for topic in seen for suffix in ("", "/waiting")}
            for _ in range(21 * len(seen)):
                topic, payload, _qos, _retain = client.receive()
                got[topic].append(payload.decode())
            for topic in seen:
                assert got[topic] == ["kept"] and sorted(map(int, got[topic + "/waiting"])) == list(range(20)), f"{site} {server}: {got}"
            client.barrier()
            assert not client.received()
    for site, (topic, _there) in topics.items():
        with places[site].mqtt("main", "publisher") as client:
            client.publish(topic, b"", 1, retain=True)
