"""
How soon what is stored goes on between the sites after an interruption, with `eventbus streams watch` at each site: nothing lost, nothing doubled,
3 s at most. EB_RESUME_RUNS repeats each case.
"""
import os
import time

import pytest

from harness.crossing import Flow, Traffic
from harness.plain import Plain

RUNS = int(os.environ.get("EB_RESUME_RUNS", "1"))
RATE = 100  # a second, in each of the flows
LIMIT_S = 3.0


@pytest.fixture(scope="module", params=[1, 2], ids=["one supervisor", "two supervisors"])
def bus(request, tmp_path_factory):
    bus = Plain(tmp_path_factory.mktemp("resume"))
    try:
        bus.up(apply=False)
        for name in bus.sites:
            done = bus.streams(name, "apply")
            assert done.returncode == 0, done.stderr
        for _ in range(request.param):
            for name in bus.sites:
                bus.watch(name)
        bus.connected(20)
        yield bus
        for watcher in bus.watchers:
            assert not [line for line in watcher.lines() if line["level"] == "error"], watcher.log.read_text()
            assert watcher.end() == 0
    finally:
        bus.end()


def csc_stopped(bus):
    bus.site("csc").stop()
    time.sleep(20)
    back = time.time()
    bus.site("csc").start()
    return back


def csc_restarted(bus):
    bus.site("csc").stop()
    back = time.time()
    bus.site("csc").start()
    return back


def cpc_restarted(bus):
    bus.site("cpc-1").stop()
    back = time.time()
    bus.site("cpc-1").start()
    return back


def cut(seconds):
    def interrupt(bus):
        bus.proxy["1"].cut()
        time.sleep(seconds)
        back = time.time()
        bus.proxy["1"].heal()
        return back
    return interrupt


def black_hole(seconds):
    """What is sent over the link goes nowhere, but no connection is closed."""
    def interrupt(bus):
        bus.proxy["1"].freeze()
        time.sleep(seconds)
        back = time.time()
        bus.proxy["1"].heal()
        return back
    return interrupt


CASES = {"csc stopped": csc_stopped, "csc restarted": csc_restarted, "cpc restarted": cpc_restarted, "leaf cut 20 s": cut(20), "leaf cut 1 s": cut(1),
         "leaf black-holed 25 s": black_hole(25)}
LONG = {"leaf black-holed 25 s"}


@pytest.mark.timing
@pytest.mark.timeout(180)
@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.long if case in LONG else ()) for case in CASES])
def test_resumes(bus, case, run, record_property):
    csc, one, two = (bus.site(n) for n in ("csc", "cpc-1", "cpc-2"))
    flows = [Flow(one, "sensor.t", [(csc, "cpc.1.sensor.t")]), Flow(csc, "broadcast.t", [(one, "broadcast.t"), (two, "broadcast.t")]),
             Flow(csc, "cpc.1.command.t", [(one, "command.t")])]
    with Traffic(flows, RATE):
        time.sleep(3)
        down = time.time()
        back = CASES[case](bus)
        time.sleep(5)
    found = []
    for flow in flows:
        flow.complete()
        assert len(flow.acknowledged) > 3 * RATE, "too little was sent to say anything"
        found += [(f"{flow.subject} of {flow.source.name}", r) for r in flow.results(down)]
    told = {f"{source} -> {r.target}": round(r.first - back, 2) for source, r in found}
    record_property("resumed", told)
    print(case, told)
    assert not [(source, r) for source, r in found if r.lost or r.doubled or r.disordered]
    assert max(told.values()) <= LIMIT_S, told
