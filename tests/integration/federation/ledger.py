"""Who got what: every copy of every publication, and the cells of a matrix that are not as they must be."""
import collections
import threading
import time
from dataclasses import dataclass, field

from .matrix import ID, LATE, NATS, expected, topic_of

CLEAR = ":clear"


@dataclass(frozen=True)
class Copy:
    topic: str  # the subject where the subscriber is a NATS client
    qos: int
    retain: bool
    dup: bool
    at: float = field(default_factory=time.monotonic)


class Ledger:
    """A publication's payload is its id; an empty payload (a retained message is cleared) is told by the id in its topic."""

    def __init__(self):
        self.got = collections.defaultdict(list)  # (subscriber, key) -> [Copy]
        self.helpers = collections.Counter()      # (subscriber, first two tokens of a subject that begins with $ or _)
        self._lock = threading.Lock()
        self.last = time.monotonic()

    def writer(self, subscriber):
        """What a client calls with each message."""
        def add(topic, payload, qos=0, retain=False, dup=False):
            if topic[:1] in "$_" and subscriber.kind == NATS:
                with self._lock:
                    self.helpers[subscriber.name, ".".join(topic.split(".")[:2])] += 1
                return
            key = payload.decode(errors="replace")
            if not key:
                found = ID.search(topic)
                key = (found.group() if found else topic) + CLEAR
            with self._lock:
                self.got[subscriber.name, key].append(Copy(topic, qos, retain, dup))
                self.last = time.monotonic()
        return add

    def missing(self, subscribers, publications, key=str):
        """How many cells that must have a copy have none yet."""
        return sum(1 for s in subscribers for p in publications if expected(s, p) and not self.got.get((s.name, key(p.id))))

    def faults(self, subscribers, publications, only=None, clears=()):
        """
        Compares all cells with what must be; a Faults. clears: publications whose retained messages were cleared, by a QoS 1 publish:
        those subscribers that are not late saw it once.
        """
        faults, known = Faults(), set()
        for s in subscribers:
            for p in publications:
                known.add((s.name, p.id))
                want = expected(s, p)
                faults.cell(s, p, want, self.got.get((s.name, p.id), []), p.qos if not p.nats else 0, retain=s.kind == LATE)
            for p in clears:
                known.add((s.name, p.id + CLEAR))
                faults.cell(s, p, p.seen_at(s.site), self.got.get((s.name, p.id + CLEAR), []), 1, retain=False, note=" cleared")
        names = {s.name for s in subscribers}
        for (name, key), copies in self.got.items():
            if name in names and (name, key) not in known:
                faults.add("of no publication", f"{name} <- {key[:60]!r} on {copies[0].topic}")
        return faults


class Faults:
    def __init__(self):
        self.cells = self.wanted = 0
        self.found = collections.defaultdict(list)
        self.pairs = collections.Counter()

    def add(self, what, text, pair=None):
        self.found[what].append(text)
        if pair:
            self.pairs[(what, *pair)] += 1

    def cell(self, s, p, want, copies, qos, retain, note=""):
        self.cells += 1
        self.wanted += want is not None
        where, pair = f"{s} <- {p}{note}", (f"{p.family.name}{note}", s.site)
        if want is None:
            if copies:
                self.add("came where it must not", f"{where} on {copies[0].topic}", pair)
            return
        if not copies:
            return self.add("lost", where, pair)
        if len(copies) > 1:
            times = [f"{c.at - copies[0].at:.1f} s{' DUP' if c.dup else ''}" for c in copies[1:]]
            self.add("doubled", f"{where}: again after {', '.join(times)}", pair)
        topic = want if s.kind == NATS else topic_of(want)
        for copy in copies:
            if copy.topic != topic:
                self.add("wrong topic", f"{where}: {copy.topic} instead of {topic}", pair)
            if s.kind != NATS and copy.retain != retain:
                self.add("wrong retain flag", f"{where}: {copy.retain}", pair)
            if s.kind != NATS and copy.qos != min(qos, s.qos):
                self.add("wrong QoS", f"{where}: {copy.qos}", pair)

    def __bool__(self):
        return bool(self.found)

    def __str__(self):
        lines = [f"{sum(map(len, self.found.values()))} faults in {self.cells} cells ({self.wanted} with a copy, {self.cells - self.wanted} without)"]
        for (what, family, site), n in sorted(self.pairs.items()):
            lines.append(f"  {what}: {family} at {site}: {n}")
        for what, texts in self.found.items():
            lines += [f"{what}: {text}" for text in texts[:12]] + ([f"{what}: … {len(texts) - 12} more"] if len(texts) > 12 else [])
        return "\n".join(lines)
