"""
`eventbus streams watch` beside others who change the same streams: the servers of a cluster, which must not be made to store what is under way
twice, and a controller that applies the definitions again and again.
"""
import threading
import time

import pytest

from harness.crossing import Flow, Traffic
from harness.natsio import Refused
from harness.plain import STREAMS, Plain
from harness.wait import PATIENCE, until

RATE = 100


def start(folder, **options):
    bus = Plain(folder, ids=("1",), **options).up(apply=False)
    for name in bus.sites:
        done = bus.streams(name, "apply")
        assert done.returncode == 0, done.stderr
    for name in bus.sites:
        bus.watch(name)
    bus.connected(60)
    return bus


@pytest.fixture
def bus(request, tmp_path):
    made = start(tmp_path, **getattr(request, "param", {}))
    yield made
    for watcher in made.watchers:
        assert watcher.end() == 0
    made.end()


def flows(bus):
    csc, cpc = bus.site("csc"), bus.site("cpc-1")
    return [Flow(cpc, "sensor.t", [(csc, "cpc.1.sensor.t")]), Flow(csc, "broadcast.t", [(cpc, "broadcast.t")]),
            Flow(csc, "cpc.1.command.t", [(cpc, "command.t")])]


def judge(found, down, back):
    """Nothing lost, nothing doubled; how soon it went on."""
    told = {}
    for flow in found:
        flow.complete(4 * PATIENCE)
        assert len(flow.acknowledged) > 3 * RATE, "too little was sent to say anything"
        for r in flow.results(down):
            assert (r.lost, r.doubled) == (0, 0), (flow.subject, r)
            told[f"{flow.subject} -> {r.target}"] = round(r.first - back, 2)
    print(told)
    return told


class Beside:
    """_run goes on in a thread of its own while the block lasts, until _end is set."""

    def __init__(self):
        self._end = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._end.set()
        self._thread.join()


class Looking(Beside):
    """with Looking(site, stream) as seen: how many sources it has had, all the time."""

    def __init__(self, site, stream):
        super().__init__()
        self.site, self.stream, self.counts = site, stream, set()

    def _run(self):
        while not self._end.wait(0.005):
            try:
                answer = self.site.js(f"STREAM.INFO.{self.stream}")
            except (Refused, OSError, TimeoutError):
                continue
            if "config" in answer:
                self.counts.add(len(answer["config"].get("sources", ())))


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("bus", [{"replicas": 3}], indirect=True, ids=["three nodes"])
def test_on_a_cluster_the_leader_steps_down(bus, record_property):
    """Taking out and in would double there what is under way."""
    csc, watcher = bus.site("csc"), bus.watchers[0]
    config = csc.js("STREAM.INFO.$MQTT_msgs")["config"]
    assert config["num_replicas"] == 3
    found = flows(bus)
    with Traffic(found, RATE), Looking(csc, "$MQTT_msgs") as seen:
        time.sleep(3)
        down = time.time()
        bus.proxy["1"].cut()
        time.sleep(26)  # the far side has forgotten its consumers, and a request that nobody answers is under way
        back = time.time()
        bus.proxy["1"].heal()
        watcher.told("the stream's leader was told to step down", 4 * PATIENCE)
        until(lambda: watcher.lines("connected again"), lambda: watcher.log.read_text(), 4 * PATIENCE)
        time.sleep(3)
    record_property("resumed", judge(found, down, back))
    assert seen.counts == {len(config["sources"])}, "an entry was out"
    assert not watcher.lines("taken out") and not watcher.lines("put in"), watcher.log.read_text()
    stepped = [line for line in watcher.lines("step down") if line["stream"] == "$MQTT_msgs"]
    assert 1 <= len(stepped) <= 3, stepped


class Controller(Beside):
    """Applies the definitions of a site every second, as a controller does that knows nothing of the supervisor."""

    def __init__(self, site):
        super().__init__()
        self.site, self.applied, self.refused = site, 0, []
        self.wanted = {s: {k: v for k, v in site.js(f"STREAM.INFO.{s}")["config"].items() if k != "metadata"} for s in STREAMS}

    def _run(self):
        while not self._end.wait(1):
            for stream, config in self.wanted.items():
                try:
                    answer = self.site.js(f"STREAM.UPDATE.{stream}", config)
                except (Refused, OSError, TimeoutError):
                    continue  # the server is away
                self.applied += 1
                if "error" in answer:
                    self.refused.append(answer)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_peace_with_a_controller(bus, record_property):
    csc, cpc = bus.site("csc"), bus.site("cpc-1")
    found = flows(bus)
    with Controller(csc) as one, Controller(cpc) as other:
        before = [len(w.lines("taken out") + w.lines("put in")) for w in bus.watchers]
        with Traffic(found, RATE):
            time.sleep(10)
            assert [len(w.lines("taken out") + w.lines("put in")) for w in bus.watchers] == before, "cures without an interruption"
            down = time.time()
            bus.proxy["1"].cut()
            time.sleep(13)
            back = time.time()
            bus.proxy["1"].heal()
            time.sleep(6)
            csc.restart()
            csc.up()
            time.sleep(8)
        record_property("resumed", judge(found, down, back))
        for watcher, controller in zip(bus.watchers, (one, other)):
            cures = {}
            for line in watcher.lines("taken out") + watcher.lines("put in"):
                cures[line["stream"], line["filter"]] = cures.get((line["stream"], line["filter"]), 0) + 1
            assert all(n <= 4 for n in cures.values()), watcher.log.read_text()  # two interruptions, each with one cure and one spare
            assert controller.applied > 60 and not controller.refused, controller.refused
            for stream, config in controller.wanted.items():
                live = controller.site.js(f"STREAM.INFO.{stream}")["config"]
                assert {k: v for k, v in live.items() if k not in ("metadata", "sources")} == {k: v for k, v in config.items() if k != "sources"}
                assert sorted(map(str, live.get("sources", ()))) == sorted(map(str, config.get("sources", ())))
    bus.connected()
