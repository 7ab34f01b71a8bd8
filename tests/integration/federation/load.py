"""Steady traffic between the sites while something breaks, and the judgement afterwards: what was lost, doubled, late."""
import contextlib
import os
import time
from dataclasses import dataclass

from harness.wait import PATIENCE, until

from .clients import Receiver, Sender
from .streams import Streams, counts


@dataclass(frozen=True)
class Flow:
    """From a topic at one site to the topic that it has at others; the stored layer carries it."""
    name: str
    site: str
    server: str
    topic: str
    qos: int
    seen: dict  # site -> topic


# The names are those of the lists in matrix.CROSS_LAYER.
UP = Flow("up", "cpc-1", "main", "sensor/load/a", 1, {"csc": "cpc/1/sensor/load/a"})
UP_2 = Flow("up-2", "cpc-1", "mtls", "sensor/load/b", 2, {"csc": "cpc/1/sensor/load/b"})
UP_OTHER = Flow("up-other", "cpc-2", "main", "sensor/load/c", 2, {"csc": "cpc/2/sensor/load/c"})
ALL = Flow("all", "csc", "main", "broadcast/load/a", 1, {"cpc-1": "broadcast/load/a", "cpc-2": "broadcast/load/a"})
ONE = Flow("one", "csc", "main", "cpc/1/command/load/a", 1, {"cpc-1": "command/load/a"})
ONE_2 = Flow("one-2", "csc", "mtls", "cpc/1/command/load/b", 2, {"cpc-1": "command/load/b"})
LOCAL = Flow("local", "cpc-1", "main", "local/load/a", 1, {"cpc-1": "local/load/a"})
THREE = (UP, ALL, ONE)
# One subscription a session: nats-server sends a session no more than max_ack_pending (1,024) unacknowledged messages, each of its
# subscriptions may have as many under way, and what is too much for the session waits for ack_wait (30 s).
FILTER = {"csc": "cpc/+/sensor/load/#", "cpc-1": "+/load/#", "cpc-2": "+/load/#"}


def subject(topic):
    return "$MQTT.msgs." + topic.replace("/", ".")


class Load:
    """with Load(three_sites, flows, rate) as load: break something; then load.judge(). rate: of each flow, a second, or {name of a flow: rate}."""

    def __init__(self, federation, flows, rate, listen=("main",), also=None):
        self.federation, self.flows, self.rate = federation, flows, rate
        self.also = also or {}
        self.listen = listen
        self.senders, self.receivers = {}, {}
        self._stack = contextlib.ExitStack()
        self._begin = {}

    def __enter__(self):
        try:
            return self._start()
        except BaseException:
            self.__exit__()
            raise

    def _start(self):
        places = self.federation.places
        for site, place in places.items():
            state = place.ask("STREAM.INFO.$MQTT_msgs")["state"]
            self._begin[site] = state["last_seq"] + 1
        for site in {site: None for flow in self.flows for site in flow.seen}:
            for server in self.listen:
                also = self.also.get(site, ()) if server == "main" else ()
                r = self.receivers[site, server] = Receiver(places[site].where(server), [FILTER[site]], qos=2, also=also)
                self._stack.callback(r.stop)
                r.start()
        for flow in self.flows:
            also = self.also.get(flow.site, ()) if flow.server == "main" else ()
            name = f"{flow.name}-{time.time_ns() % 10**9}"
            rate = self.rate[flow.name] if isinstance(self.rate, dict) else self.rate
            s = self.senders[flow.name] = Sender(places[flow.site].where(flow.server), flow.topic, rate, flow.qos, name, also=also)
            self._stack.callback(s.stop)
            s.start()
        self.flowing()
        return self

    def __exit__(self, *_exc):
        for sender in self.senders.values():
            sender._end.set()
        self._stack.close()

    def flowing(self, timeout=PATIENCE):
        """Until what is published from now on has come to every subscriber."""
        begin = {flow.name: len(self.senders[flow.name].sent) for flow in self.flows}

        def late():
            return [f"{flow.name} at {site} {server}" for flow in self.flows for site in flow.seen for server in self.listen
                    if self.receivers[site, server].newest[self.senders[flow.name].name] <= begin[flow.name]]
        until(lambda: not late(), lambda: f"messages to arrive: {late()}", timeout=timeout, every=0.05)

    def judge(self, timeout=4 * PATIENCE):
        """Stops the senders, waits for what must still come, and compares; a Verdict."""
        for sender in self.senders.values():
            sender.finish()
        acked = {flow.name: sender.acked for flow in self.flows for sender in [self.senders[flow.name]]}

        def missing():
            return {(flow.name, site, server): len(acked[flow.name].keys() - self.receivers[site, server].got.keys())
                    for flow in self.flows for site in flow.seen for server in self.listen}
        with contextlib.suppress(AssertionError):
            until(lambda: not any(missing().values()), "", timeout=timeout, every=0.1)
        stored = {}
        for site, place in self.federation.places.items():
            with place.observer() as client:
                stored[site] = Streams(client).read(since=self._begin[site])
        return Verdict(self, acked, {key: n for key, n in missing().items() if n}, stored)


class Verdict:
    def __init__(self, load, acked, missing, stored):
        self.missing = missing  # acknowledged, not received: (flow, site, server) -> how many
        self.lost, self.doubled, self.stored = {}, {}, {}
        self.sent = {name: sender.sent for name, sender in load.senders.items()}
        self.acked = acked
        self.repeats = {key: sum(r.repeats().values()) for key, r in load.receivers.items()}
        for flow in load.flows:
            origin = counts([m for m in stored[flow.site] if m.subject == subject(flow.topic)])
            for site, topic in flow.seen.items():
                here = [m for m in stored[site] if m.subject == subject(topic)]
                self.stored[flow.name, site] = here
                there = counts(here)
                if lost := acked[flow.name].keys() - there.keys():
                    self.lost[flow.name, site] = len(lost)
                # what a publisher repeated because it had no answer is twice at the origin as well
                if double := {key: n for key, n in there.items() if n > max(1, origin[key])}:
                    self.doubled[flow.name, site] = len(double)

    def resumed(self, flow, site, cut, back):
        """Seconds from `back` until the first message published after `cut` was stored at that site."""
        times = [m.at for m in self.stored[flow.name, site] if self.sent[flow.name].get(m.key, 0) > cut]
        return min(times) - back if times else float("inf")

    def clean(self):
        problems = []
        if self.missing:
            problems.append(f"acknowledged, but never received: {self.missing}")
        if self.lost:
            problems.append(f"acknowledged, but not in the stream of the other site: {self.lost}")
        if self.doubled:
            problems.append(f"more often in the stream of the other site than at the origin: {self.doubled}")
        assert not problems, "; ".join(problems) + f" (acknowledged: { {name: len(keys) for name, keys in self.acked.items()} })"
        return self


def started_at(pid):
    """When a process was started, in seconds since the epoch."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime", encoding="ascii") as file:
        up = float(file.read().split()[0])
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Outage:
    site: str = ""      # whose main server was stopped
    begin: float = 0.0  # before anything was done
    cut: float = 0.0    # when it was done: nothing crosses from here on
    back: float = 0.0   # when what was stopped was started, or the link healed


@contextlib.contextmanager
def stopped(federation, *names, first=None):
    """What is named is stopped within the block, and started when it ends; yields an Outage. first: the process whose start counts."""
    outage = Outage((first or names[0]).partition("/")[0], time.time())
    federation.stop(*names)
    outage.cut = time.time()
    yield outage
    federation.start(*names)
    outage.back = started_at(federation.bus.pid(first or names[0]))


@contextlib.contextmanager
def cut(federation, *cpcs, closed=True):
    """The links of these CPCs are cut within the block. closed=False: nothing passes, but no connection ends (a black hole)."""
    outage = Outage("", time.time())
    for cpc in cpcs:
        if closed:
            federation.proxy[cpc].cut()
        else:
            federation.proxy[cpc].freeze()
    outage.cut = time.time()
    yield outage
    outage.back = time.time()
    for cpc in cpcs:
        federation.proxy[cpc].heal()


def resume_times(load, verdict, outage):
    """
    {(flow, site): seconds} until stored messages crossed again. Where the flow's own sender was thrown out, from when it was in again: how
    long a login takes is another figure.
    """
    times = {}
    for flow in load.flows:
        for site in flow.seen:
            if site == flow.site:
                continue
            sender = load.senders[flow.name]
            again = [t for t in sender.connects if t > outage.cut and flow.site == outage.site]
            times[flow.name, site] = round(verdict.resumed(flow, site, outage.cut, max([outage.back, *again[:1]])), 2)
    return times
