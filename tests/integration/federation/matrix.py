"""
What must go where, as data. A family is a subject at the site where it is published, and the subject under which each site must see it; a site
that is not named must see nothing. Every publication has a topic of its own: {} in a subject stands for its id.
"""
import itertools
import re
from dataclasses import dataclass

SITES = ("csc", "cpc-1", "cpc-2")
SERVERS = ("main", "mtls")

# The lists of the sites' documents: each with a tree, and with a pattern that has a wildcard inside.
CROSS_LAYER = {
    "cscExports": ["broadcast.>", "notice.*.all.>"],
    "cscPrefixedExports": ["command.>", "setpoint.*.value"],
    "cpcExports": ["sensor.>", "meter.*.value", "status"],
}
# What the tests publish and subscribe to; clients with narrow rights have these and nothing else.
TREES = ["broadcast.>", "notice.>", "command.>", "setpoint.>", "sensor.>", "meter.>", "status", "cpc.>", "local.>"]


@dataclass(frozen=True)
class Family:
    name: str
    site: str
    subject: str
    seen: dict  # site -> subject

    def __hash__(self):
        return hash(self.name)


FAMILIES = [
    # what crosses
    Family("sensor of CPC-1", "cpc-1", "sensor.{}", {"cpc-1": "sensor.{}", "csc": "cpc.1.sensor.{}"}),
    Family("sensor of CPC-2", "cpc-2", "sensor.{}", {"cpc-2": "sensor.{}", "csc": "cpc.2.sensor.{}"}),
    Family("broadcast", "csc", "broadcast.{}", {"csc": "broadcast.{}", "cpc-1": "broadcast.{}", "cpc-2": "broadcast.{}"}),
    Family("command to CPC-1", "csc", "cpc.1.command.{}", {"csc": "cpc.1.command.{}", "cpc-1": "command.{}"}),
    Family("command to CPC-2", "csc", "cpc.2.command.{}", {"csc": "cpc.2.command.{}", "cpc-2": "command.{}"}),
    # what crosses by a pattern with a wildcard inside
    Family("meter of CPC-2", "cpc-2", "meter.{}.value", {"cpc-2": "meter.{}.value", "csc": "cpc.2.meter.{}.value"}),
    Family("notice", "csc", "notice.{}.all.x.y", dict.fromkeys(SITES, "notice.{}.all.x.y")),
    Family("setpoint of CPC-1", "csc", "cpc.1.setpoint.{}.value", {"csc": "cpc.1.setpoint.{}.value", "cpc-1": "setpoint.{}.value"}),
    # what is in no list
    Family("local at the CSC", "csc", "local.{}", {"csc": "local.{}"}),
    Family("local at CPC-1", "cpc-1", "local.{}", {"cpc-1": "local.{}"}),
    Family("local at CPC-2", "cpc-2", "local.{}", {"cpc-2": "local.{}"}),
    Family("beside a pattern", "cpc-1", "meter.{}.other", {"cpc-1": "meter.{}.other"}),
    # what is in a list, published at the wrong end
    Family("broadcast by CPC-1", "cpc-1", "broadcast.{}", {"cpc-1": "broadcast.{}"}),
    Family("command by CPC-2 to itself", "cpc-2", "command.{}", {"cpc-2": "command.{}"}),
    Family("command by CPC-1 to CPC-2", "cpc-1", "cpc.2.command.{}", {"cpc-1": "cpc.2.command.{}"}),
    Family("sensor by the CSC", "csc", "sensor.{}", {"csc": "sensor.{}"}),
    Family("sensor of CPC-1 by the CSC", "csc", "cpc.1.sensor.{}", {"csc": "cpc.1.sensor.{}"}),
    Family("command without a prefix", "csc", "command.{}", {"csc": "command.{}"}),
    Family("command to an unknown CPC", "csc", "cpc.9.command.{}", {"csc": "cpc.9.command.{}"}),
]


def topic_of(subject):
    """The MQTT topic of a NATS subject without dots inside its parts."""
    return subject.replace(".", "/")


@dataclass(frozen=True)
class Publication:
    id: str
    family: Family
    server: str
    qos: int  # -1: by a NATS client
    retain: bool

    @property
    def nats(self):
        return self.qos < 0

    @property
    def subject(self):
        return self.family.subject.format(self.id)

    def seen_at(self, site):
        """The subject under which a site must see it; None where it must not."""
        subject = self.family.seen.get(site)
        return subject and subject.format(self.id)

    def __str__(self):
        how = "NATS" if self.nats else f"QoS {self.qos}{' retained' if self.retain else ''}"
        return f"{self.id} {self.family.name} ({self.family.site} {self.server}, {how})"


ID = re.compile(r"p\d{3,}")
WAYS = [*itertools.product((0, 1, 2), (False, True)), (-1, False)]


def publications():
    ids = itertools.count(1)
    return [Publication(f"p{next(ids):03}", family, server, qos, retain)
            for family in FAMILIES for server in SERVERS for qos, retain in WAYS]


LIVE, STORED, NATS, LATE = "live", "stored", "nats", "late"


@dataclass(frozen=True)
class Subscriber:
    """STORED: a persistent session that is offline while the publications are made. wide: subscribes # or >, else to each tree by itself."""
    site: str
    server: str
    kind: str
    qos: int
    wide: bool

    @property
    def name(self):
        return f"{self.site} {self.server} {self.kind}" + (f" QoS {self.qos}" if self.kind != NATS else "") + (" #" if self.wide else "")

    __str__ = name.fget


def subscribers():
    """Six a server; what is wide on the main server of a site is narrow on its mTLS server."""
    found = []
    for site, (server, flip) in itertools.product(SITES, zip(SERVERS, (False, True))):
        for (kind, qos), wide in zip([(LIVE, 0), (LIVE, 1), (LIVE, 2), (STORED, 1), (STORED, 2), (NATS, 0)],
                                     [True, False, True, False, True, True]):
            found.append(Subscriber(site, server, kind, qos, wide != flip))
    return found


def late_subscribers(qos=(0, 1)):
    return [Subscriber(site, server, LATE, q, (q == 0) != (server == "mtls"))
            for site, server, q in itertools.product(SITES, SERVERS, qos)]


def expected(subscriber, publication):
    """The subject under which this subscriber must get exactly one copy; None where it must get none."""
    if subscriber.kind == STORED and publication.qos < 1:
        return None
    if subscriber.kind == LATE and not publication.retain:
        return None
    return publication.seen_at(subscriber.site)
