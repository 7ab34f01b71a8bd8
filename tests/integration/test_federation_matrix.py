"""
What goes where between three live sites: every kind of publication to every kind of subscriber on every server, live, offline and late, with
every login decided by the site's auth-callout. The table is federation/matrix.py.
"""
import time

import pytest

from federation.ledger import CLEAR
from federation.matrix import LIVE, NATS, SERVERS, SITES, STORED, late_subscribers, publications, subscribers, topic_of
from federation.matrix_run import MatrixRun, viewers
from federation.streams import Streams, counts
from harness.wait import until

# A message that a server takes for unacknowledged comes again after 30 s.
ACK_WAIT = 33
LONG_WAIT = 60


# The matrix has the three sites for itself: what these publish is gone before it begins.

@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_list_entry_without_wildcards(three_sites, qos):
    """`status` alone: live, retained, cleared."""
    cpc, csc, got = three_sites.places["cpc-2"], three_sites.places["csc"], []
    with csc.listener("mtls", "narrow", lambda *m: got.append(m[:4]), client_id=f"status-{qos}") as live, cpc.mqtt("mtls", "narrow") as client:
        assert live.subscribe("cpc/2/status", 2) == 2
        client.publish("status", b"on", qos, retain=True)
        until(lambda: got, "the status")
        csc.retained(["cpc/+/status"], expect={"cpc/2/status": b"on"})
        client.publish("status", b"", qos, retain=True)
        until(lambda: len(got) == 2, "the clearing")
        csc.retained(["cpc/+/status"], expect={})
        assert got == [("cpc/2/status", b"on", qos, False), ("cpc/2/status", b"", qos, False)]
        assert three_sites.places["cpc-1"].retained(["#"]).keys().isdisjoint({"status", "cpc/2/status"})


def test_wills_cross(three_sites):
    """What a client leaves behind as it drops goes where its publications go, retained too."""
    csc, cpc, got = three_sites.places["csc"], three_sites.places["cpc-1"], []
    with csc.listener("main", "wide", lambda *m: got.append(m[:4])) as live:
        live.subscribe("cpc/1/sensor/will/+", 1)
        for server in SERVERS:
            topic = f"sensor/will/{server}"
            client = cpc.mqtt(server, "wide", will={"topic": topic, "payload": b"gone", "qos": 1, "retain": True}).connect()
            client.drop()
            until(lambda: (f"cpc/1/{topic}", b"gone", 1, False) in got, f"the will of a client of {server}")
            csc.retained([f"cpc/1/{topic}"], server=server, expect={f"cpc/1/{topic}": b"gone"})
        assert len(got) == 2
        with cpc.mqtt("main", "wide") as client:
            for server in SERVERS:
                client.publish(f"sensor/will/{server}", b"", 1, retain=True)
        csc.retained(["cpc/1/sensor/will/#"], expect={})


class Played:
    """What came, in the order of the run."""


@pytest.fixture(scope="module")
def played(three_sites):
    them, pubs = subscribers(), publications()
    run, p = MatrixRun(three_sites.places, them, pubs), Played()
    p.run, p.subscribers, p.publications = run, them, pubs
    try:
        run.subscribe()
        run.publish(pubs)
        run.come([s for s in them if s.kind != STORED], pubs)
        run.reconnect_stored()
        run.come(them, pubs)
        p.main = run.ledger.faults(them, pubs)
        p.late_subscribers = late_subscribers()
        run.late(p.late_subscribers)
        run.come(p.late_subscribers, pubs)
        p.late = run.ledger.faults(p.late_subscribers, pubs)
        # what crosses is cleared where it was published; what does not cross stays retained
        p.cleared = [x for x in pubs if x.retain and len(x.family.seen) > 1]
        run.publish(p.cleared, clear=True)
        run.come(them, p.cleared, key=lambda id_: id_ + CLEAR)
        p.left = [x for x in pubs if x.retain and x not in p.cleared]
        p.viewers = viewers()
        run.late(p.viewers)
        run.come(p.viewers, p.left)
        p.end = time.monotonic()
        yield p
    finally:
        run.close()


def test_every_cell(played):
    assert not played.main, str(played.main)
    assert (played.main.cells, played.main.wanted) == (9576, 4176)


def test_late_subscribers_get_what_is_retained(played):
    assert not played.late, str(played.late)
    assert (played.late.cells, played.late.wanted) == (3192, 696)


def test_what_is_cleared_is_gone_everywhere(played):
    faults = played.run.ledger.faults(played.viewers, played.left)
    assert not faults, str(faults)
    assert faults.wanted == 22 * 6


def test_no_helper_traffic_is_seen(played):
    """MQTT: nothing but publications came to anybody (test_every_cell tells of others). NATS: nothing of what the servers and links say."""
    helpers = {key: n for key, n in played.run.ledger.helpers.items() if key[1].split(".")[0] in ("$MQTT", "$XL", "$JSC", "_R_")}
    assert not helpers, helpers


def test_nothing_came_again(played):
    """One copy each, still, when everything that is unacknowledged would have come again; and it went round no circle."""
    until(lambda: time.monotonic() - played.end >= ACK_WAIT, "", timeout=ACK_WAIT + 5, every=0.2)
    faults = played.run.ledger.faults(played.subscribers, played.publications, clears=played.cleared)
    assert not faults, str(faults)


@pytest.mark.long
def test_nothing_came_again_after_a_minute(played):
    until(lambda: time.monotonic() - played.end >= LONG_WAIT, "", timeout=LONG_WAIT + 5, every=0.2)
    faults = played.run.ledger.faults(played.subscribers, played.publications, clears=played.cleared)
    assert not faults, str(faults)


def test_the_streams_hold_each_message_once(three_sites, played):
    """At every site that must see a QoS 1 or 2 publication, and at no other."""
    for site in SITES:
        with three_sites.places[site].observer() as client:
            stored = Streams(client).read()
        by_id = counts(m for m in stored if m.key)
        for p in played.publications:
            subject = p.seen_at(site)
            assert by_id[p.id] == (1 if subject and p.qos > 0 else 0), f"{site}: {p} is stored {by_id[p.id]} times"
        subjects = {m.key: m.subject for m in stored}
        assert all(subjects[p.id] == f"$MQTT.msgs.{p.seen_at(site)}" for p in played.publications if p.id in subjects)


def test_the_table_itself():
    """Both kinds of subscription occur with each kind of subscriber, and the families reach every site from every other that may."""
    them = subscribers()
    for kind, qos in [(LIVE, 0), (LIVE, 1), (LIVE, 2), (STORED, 1), (STORED, 2), (NATS, 0)]:
        assert {s.wide for s in them if (s.kind, s.qos) == (kind, qos)} == {True, False}
    assert {(p.family.site, site) for p in publications() for site in p.family.seen if site != p.family.site} == {
        ("cpc-1", "csc"), ("cpc-2", "csc"), ("csc", "cpc-1"), ("csc", "cpc-2")}
    assert topic_of("a.b") == "a/b"
