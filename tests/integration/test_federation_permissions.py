"""
Rights hold across the links: nobody reaches through a leaf what he could not locally, whoever holds a CPC's leaf seed has that CPC's part and
no more, and the subjects on which the links work are closed to clients.
"""
import contextlib
import json
import time

import pytest

from federation.matrix import topic_of
from federation.sites import KINDS
from federation.streams import Streams
from harness.mqtt import SUBSCRIBE_FAILED, Closed
from harness.natsio import Refused, run
from harness.spare import Server
from harness.wait import PATIENCE, until

ALL_KINDS = [(server, protocol, kind) for (server, protocol), kinds in KINDS.items() for kind in kinds]
NAMED_KINDS = [k for k in ALL_KINDS if k[2] != "anonymous"]


class Crowd:
    """Clients of every kind, and one record of what each got: {who: [(topic, payload)]}."""

    def __init__(self, places):
        self.places, self.got = places, {}
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def listen(self, who, site, server, protocol, kind, rights, filters):
        """Subscribes with QoS 1; the answers of the SUBACK, or the errors of a NATS client."""
        got, place = self.got.setdefault(who, []), self.places[site]
        if protocol == "mqtt":
            client = place.listener(server, rights, lambda topic, payload, *_: got.append((topic, payload.decode())), kind)
            self._stack.enter_context(client)
            return client.subscribe([(topic_of(f).replace(">", "#").replace("*", "+"), 1) for f in filters])
        client = self._stack.enter_context(place.nats(server, rights, kind))
        for f in filters:
            client.listen(f, lambda m: got.append((topic_of(m.subject), m.data.decode())))
        client.flush()
        return client.errors

    def observe(self, site):
        """What comes by in the data account of a site, MQTT's own storage left out."""
        client = self._stack.enter_context(self.places[site].observer())
        got = self.got.setdefault(f"observer of {site}", [])
        own = ("$MQTT.", "$JS.ACK.", "$JS.EVENT.", "$SYS.")

        def hear(message):
            if not message.subject.startswith(own):
                got.append((message.subject, message.data.decode(errors="replace")))
        client.listen(">", hear)
        client.flush()
        return got

    def payloads(self, who):
        return [payload for _topic, payload in self.got[who]]


def publish_every_way(place, server, protocol, kind, rights, subject, prefix):
    """Each QoS and retained by MQTT, one message by NATS; returns the payloads."""
    sent = []
    with (place.mqtt if protocol == "mqtt" else place.nats)(server, rights, kind) as client:
        if protocol == "nats":
            client.publish(subject, f"{prefix}-n".encode())
            client.flush()
            return [f"{prefix}-n"]
        for qos in (0, 1, 2):
            for retain in (False, True):
                client.publish(topic_of(subject), f"{prefix}-{qos}{'r' if retain else ''}".encode(), qos, retain)
                sent.append(f"{prefix}-{qos}{'r' if retain else ''}")
        client.publish(topic_of(subject), b"", 1, retain=True)
        sent.append("")
        client.barrier()
    return sent


ROADS = {  # site, subject there, the other site, subject there
    "up": ("cpc-1", "sensor.{}", "csc", "cpc.1.sensor.{}"),
    "broadcast": ("csc", "broadcast.{}", "cpc-1", "broadcast.{}"),
    "command": ("csc", "cpc.1.command.{}", "cpc-1", "command.{}"),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("rights", ["limited", "denied"])
def test_what_may_not_be_published_does_not_cross(three_sites, rights, road):
    site, subject, far, seen = ROADS[road]
    with Crowd(three_sites.places) as crowd:
        for who in (("main", "mqtt", "token"), ("mtls", "mqtt", "certificate"), ("main", "nats", "nkey")):
            crowd.listen(who, far, *who, "wide", [seen.format(">")])
        crowd.listen("local", site, "main", "mqtt", "token", "wide", [subject.format(">")])
        for n, (server, protocol, kind) in enumerate(NAMED_KINDS):
            place = three_sites.places[site]
            publish_every_way(place, server, protocol, kind, rights, subject.format(f"secret.k{n}"), f"secret-{n}")
            sent = publish_every_way(place, server, protocol, kind, rights, subject.format(f"open.k{n}"), f"open-{n}")
            for who in crowd.got:
                where, base = (site, subject) if who == "local" else (far, seen)
                topic = topic_of(base.format(f"open.k{n}"))
                until(lambda: [p for t, p in crowd.got[who] if t == topic].count("") >= (protocol == "mqtt") and {*sent} <= {*crowd.payloads(who)},
                      lambda: f"what {kind} may publish to come to {who} at {where}: {crowd.got[who]}")
        for who, got in crowd.got.items():
            assert not [m for m in got if "secret" in m[0] or "secret" in m[1]], f"{who}: {got}"
            assert len(got) == len(set(got)) , f"{who}: {got}"
    assert not [t for t in three_sites.places[far].retained(["#"]) if "secret" in t or "open" in t]


@pytest.mark.parametrize("road", ROADS)
def test_what_may_not_be_subscribed_does_not_come_through_the_leaf(three_sites, road):
    site, subject, far, seen = ROADS[road]
    with Crowd(three_sites.places) as crowd:
        for who in NAMED_KINDS:
            server, protocol, kind = who
            if protocol == "mqtt":
                assert crowd.listen(("limited", *who, "asked too much"), far, *who, "limited", [seen.format(">")]) == [SUBSCRIBE_FAILED]
                assert crowd.listen(("limited", *who), far, *who, "limited", [seen.format("open.>")]) == [1]
                assert crowd.listen(("denied", *who, "secret"), far, *who, "denied", [seen.format("secret.>")]) == [SUBSCRIBE_FAILED]
                assert crowd.listen(("denied", *who), far, *who, "denied", [seen.format(">")]) == [1]
                continue
            assert crowd.listen(("limited", *who, "asked too much"), far, *who, "limited", [seen.format(">")])
            assert not crowd.listen(("limited", *who), far, *who, "limited", [seen.format("open.>")])
            assert crowd.listen(("denied", *who, "secret"), far, *who, "denied", [seen.format("secret.>")])
            assert not crowd.listen(("denied", *who), far, *who, "denied", [seen.format(">")])
        crowd.listen("wide", far, "main", "mqtt", "token", "wide", [seen.format(">")])
        place = three_sites.places[site]
        secret = publish_every_way(place, "main", "mqtt", "token", "wide", subject.format("secret.x"), "secret")
        opened = publish_every_way(place, "main", "mqtt", "token", "wide", subject.format("open.x"), "open")
        until(lambda: {*secret, *opened} <= {*crowd.payloads("wide")}, "everything to come to the one who may see it")
        for who in crowd.got:
            if who == "wide" or who[-1] in ("secret", "asked too much"):
                continue
            until(lambda: {*opened} <= {*crowd.payloads(who)}, lambda: f"what {who} may see: {crowd.got[who]}")
        for who, got in crowd.got.items():
            if who != "wide":
                assert not [m for m in got if "secret" in m[0] or "secret" in m[1]], f"{who}: {got}"
                assert not got or who[-1] not in ("secret", "asked too much"), f"{who}: {got}"


def test_what_is_retained_and_secret_is_kept_from_late_subscribers(three_sites):
    for site, subject, far, seen in ROADS.values():
        with three_sites.places[site].mqtt("main", "wide") as client:
            for part in ("secret", "open"):
                client.publish(topic_of(subject.format(f"{part}.kept")), part.encode(), 1, retain=True)
            there = {topic_of(seen.format(f"{part}.kept")): part.encode() for part in ("open", "secret")}
            base, place = topic_of(seen.format("#").replace(".>", "")).rstrip("#") + "#", three_sites.places[far]
            place.retained([base], expect=there)
            for server in ("main", "mtls"):
                assert place.retained([base], server, "denied", expect=dict(list(there.items())[:1])), base
            for part in ("secret", "open"):
                client.publish(topic_of(subject.format(f"{part}.kept")), b"", 1, retain=True)
            place.retained([base], expect={})


# --- the operator of a CPC ----------------------------------------------------------------------------------------------------

def traffic(three_sites, mark):
    """What is none of CPC-1's business, and what is: published at its sites, every way."""
    places, none, its = three_sites.places, [], []
    for site, subject, mine in (("csc", "local.x", False), ("csc", "cpc.2.command.x", False), ("csc", "sensor.x", False), ("cpc-2", "sensor.x", False),
                                ("cpc-2", "local.x", False), ("csc", "cpc.1.sensor.x", False), ("csc", "broadcast.x", True), ("csc", "cpc.1.command.x", True)):
        found = []
        for protocol, kind in (("mqtt", "token"), ("nats", "nkey")):
            found += [p for p in publish_every_way(places[site], "main", protocol, kind, "wide", f"{subject}.{mark}", f"{mark}-{site}-{subject}") if p]
        (its if mine else none).extend(found)
    return none, its


# What CPC-1's link may carry to it: what is published for it, and the stored layer's part for it.
ITS_OWN = ("broadcast.", "notice.", "cpc.1.command.", "cpc.1.setpoint.", "$XL.down.1.", "$XL.1.api.", "$JS.FC.CPC-1.", "_R_.", "$LDS.")


@contextlib.contextmanager
def stolen_leaf(three_sites):
    """A leaf connection to the CSC by hand, with the seed of CPC-1."""
    csc = three_sites.csc
    leaf = csc.leaf("CSC")
    try:
        assert leaf.connect(**leaf.sign(three_sites.cpc(1).key("nats-leaf-csc"))) is None
        yield leaf
    finally:
        leaf.close()


def test_a_stolen_leaf_seed_reads_its_own_part_only(three_sites):
    """A leaf that asks for everything, subject by subject, as its server would never do."""
    wanted = [">", "*", "*.>", "cpc.>", "cpc.2.>", "cpc.2.command.>", "cpc.1.sensor.>", "cpc.2.sensor.>", "local.>", "sensor.>", "$MQTT.>", "$MQTT.msgs.>",
              "$MQTT.rmsgs.>", "$MQTT.sess.>", "$MQTT.sub.>", "$MQTT.JSA.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$JSC.>", "$XL.>", "$XL.r.>",
              "$XL.up.>", "$XL.down.>", "$XL.down.2.>", "$XL.2.api.>", "$JS.FC.>", "$JS.FC.CPC-2.>", "_INBOX.>", "$SYS.>", "$SYS.REQ.USER.AUTH", "$LDS.>",
              "broadcast.>", "cpc.1.command.>"]
    with contextlib.ExitStack() as stack:
        leaves = []
        for subject in wanted:
            leaf = stack.enter_context(stolen_leaf(three_sites))
            with contextlib.suppress(OSError):
                leaf.subscribe(subject)
            leaves.append((subject, leaf))
        with stolen_leaf(three_sites):  # the server has worked through what came before
            pass
        none, its = traffic(three_sites, "read")
        seen = {}
        by_subject = dict(leaves)
        heard = set()

        def control():
            for subject in ("broadcast.>", "cpc.1.command.>"):
                while not by_subject[subject].messages.empty():
                    heard.add(by_subject[subject].messages.get()[2].decode())
            # by core, so not what only the stored layer has
            return {p for p in its if p.endswith(("-n", "-0", "-1", "-2"))} <= heard
        until(control, lambda: f"what CPC-1 may read: {heard} of {its}")
        for subject, leaf in leaves:
            while not leaf.messages.empty():
                got, _reply, payload = leaf.messages.get()
                seen.setdefault(subject, []).append((got, payload.decode(errors="replace")[:200]))
        wrong = {subject: [m for m in found if m[1] in none or not m[0].startswith(ITS_OWN)] for subject, found in seen.items()}
        assert not any(wrong.values()), {s: w[:5] for s, w in wrong.items() if w}
        assert not [p for p in none if p in heard]


def test_a_stolen_leaf_seed_writes_its_own_part_only(three_sites):
    """Each on a connection of its own, since the server may well end it for the attempt."""
    evil = ["cpc.2.sensor.x", "cpc.2.command.x", "cpc.1.command.x", "cpc.1.x", "cpc.1", "local.x", "broadcast.x", "sensor.x", "$MQTT.msgs.local.x",
            "$MQTT.msgs.cpc.2.command.x", "$MQTT.msgs.broadcast.x", "$MQTT.rmsgs.broadcast.x", "$MQTT.sess.x", "$MQTT.sub.x", "$MQTT.qos2.in.x",
            "$XL.up.2.msgs", "$XL.up.2.rmsgs", "$XL.down.1.msgs", "$XL.down.2.msgs", "$XL.2.api.CONSUMER.CREATE.x", "$XL.r.broadcast.x", "$JSC.R.2.x",
            "$JS.ACK.x", "$JS.API.INFO", "$JS.API.STREAM.PURGE.$MQTT_msgs", "$SYS.REQ.USER.AUTH", "$SYS.ACCOUNT.CSC.CONNECT", "_INBOX.x", "$KV.x.y"]
    with Crowd(three_sites.places) as crowd:
        seen = {site: crowd.observe(site) for site in ("csc", "cpc-1", "cpc-2")}
        for n, subject in enumerate(evil):
            with stolen_leaf(three_sites) as leaf, contextlib.suppress(OSError):
                leaf.publish(subject, f"evil-{n} {subject}".encode())
        with stolen_leaf(three_sites) as leaf:
            leaf.publish("cpc.1.sensor.x", b"its own")
            until(lambda: ("cpc.1.sensor.x", "its own") in seen["csc"], "what CPC-1 may say")
        with three_sites.places["csc"].mqtt("main", "wide") as client:
            client.publish("broadcast/after", b"after", 1)
        until(lambda: all(("broadcast.after", "after") in got for got in seen.values()), "a message that comes after")
        wrong = {site: [m for m in got if m[1].startswith("evil")] for site, got in seen.items()}
        assert not any(wrong.values()), wrong
    for site in seen:
        with three_sites.places[site].observer() as client:
            streams = Streams(client)
            for stream in ("$MQTT_msgs", "$MQTT_rmsgs", "XL_RETAINED"):
                assert not [m for m in streams.read(stream) if m.key.startswith("evil")], f"{site}: {stream}"


def test_a_stolen_leaf_seed_asks_jetstream_for_its_own_part_only(three_sites):
    create = "$JS.CSC.API.CONSUMER.CREATE."
    def wish(stream, **config):
        return json.dumps({"stream_name": stream, "config": {"deliver_subject": "$XL.down.1.evil", "ack_policy": "none", **config}}).encode()
    unanswered = [
        ("$JS.CSC.API.INFO", b""), ("$JS.CSC.API.STREAM.NAMES", b""),
        ("$JS.CSC.API.STREAM.INFO.$MQTT_msgs", b""), ("$JS.CSC.API.STREAM.DELETE.$MQTT_msgs", b""), ("$JS.CSC.API.STREAM.PURGE.$MQTT_msgs", b""),
        ("$JS.CSC.API.STREAM.MSG.GET.$MQTT_msgs", b'{"seq":1}'), ("$JS.CSC.API.DIRECT.GET.$MQTT_msgs", b'{"seq":1}'),
        ("$JS.CSC.API.CONSUMER.LIST.$MQTT_msgs", b""), ("$JS.CSC.API.CONSUMER.DELETE.$MQTT_msgs.x", b""), ("$JS.API.STREAM.INFO.$MQTT_msgs", b""),
        (create + "$MQTT_msgs.evil.$MQTT.msgs.cpc.2.command.>", wish("$MQTT_msgs", filter_subject="$MQTT.msgs.cpc.2.command.>")),
        (create + "$MQTT_msgs.evil.$MQTT.msgs.>", wish("$MQTT_msgs", filter_subject="$MQTT.msgs.>")),
        (create + "$MQTT_msgs.evil", wish("$MQTT_msgs")), (create + "$MQTT_msgs", wish("$MQTT_msgs")),
        (create + "XL_RETAINED.evil.$XL.r.cpc.2.command.>", wish("XL_RETAINED", filter_subject="$XL.r.cpc.2.command.>")),
        (create + "$MQTT_rmsgs.evil.$MQTT.rmsgs.broadcast.>", wish("$MQTT_rmsgs", filter_subject="$MQTT.rmsgs.broadcast.>")),
        (create + "$MQTT_sess.evil.$MQTT.sess.>", wish("$MQTT_sess", filter_subject="$MQTT.sess.>")),
        ("$JS.CSC.API.CONSUMER.DURABLE.CREATE.$MQTT_msgs.evil", wish("$MQTT_msgs", durable_name="evil")),
    ]
    own = create + "$MQTT_msgs.evil.$MQTT.msgs.broadcast.>"
    refused = [  # where the name of the subject and the wish differ
        (own, wish("$MQTT_msgs", filter_subject="$MQTT.msgs.cpc.2.command.>")), (own, wish("$MQTT_msgs", filter_subject="$MQTT.msgs.>")),
        (own, wish("$MQTT_msgs", filter_subjects=["$MQTT.msgs.broadcast.>", "$MQTT.msgs.cpc.2.command.>"])), (own, wish("$MQTT_msgs")),
        (own, wish("$MQTT_sess", filter_subject="$MQTT.msgs.broadcast.>")),
    ]
    csc = three_sites.places["csc"]
    before = {name: csc.ask(f"STREAM.INFO.{name}") for name in ("$MQTT_msgs", "$MQTT_rmsgs", "XL_RETAINED", "$MQTT_sess")}
    for subject, body in unanswered:
        with stolen_leaf(three_sites) as leaf, contextlib.suppress(OSError):
            leaf.subscribe("_R_.evil.>")
            leaf.publish(subject, body, "_R_.evil.1")
            leaf.publish(own, b"{}", "_R_.evil.2")  # one that is answered, if the connection still stands
            with contextlib.suppress(AssertionError):
                until(lambda: leaf.ended.is_set() or not leaf.messages.empty(), "", timeout=3)
            got = [leaf.messages.get() for _ in range(leaf.messages.qsize())]
            assert not [m for m in got if m[0] == "_R_.evil.1"], f"{subject}: {got}"
    answered = 0
    for subject, body in refused:
        with stolen_leaf(three_sites) as leaf:
            leaf.subscribe("_R_.evil.>")
            leaf.publish(subject, body, "_R_.evil.1")
            answer = json.loads(leaf.messages.get(timeout=PATIENCE)[2])
            assert "error" in answer, f"{body}: {answer}"
            answered += 1
    assert answered == len(refused)
    after = {name: csc.ask(f"STREAM.INFO.{name}") for name in before}
    for name in before:
        assert after[name]["state"]["messages"] >= before[name]["state"]["messages"], name
        names = [c["name"] for c in csc.ask(f"CONSUMER.LIST.{name}").get("consumers") or []]
        assert not [n for n in names if "evil" in n], names


def test_a_stolen_leaf_seed_lets_no_client_in(three_sites):
    """It is the seed of a leaf link: neither a NATS nor an MQTT client gets in with it, nor a leaf into another account."""
    key, csc = three_sites.cpc(1).key("nats-leaf-csc"), three_sites.csc
    with pytest.raises(Refused):
        csc.nats(seed=key.seed).connect()
    for server in ("NATS", "MTLS_NATS"):
        with csc.wire(server) as wire:
            assert wire.connect(**wire.sign(key))
    for account in ("AUTHX", "SYS", "LaunchLayer", "AUTH"):
        with contextlib.closing(csc.leaf(account)) as leaf:
            error = leaf.connect(**leaf.sign(key))
            leaf.subscribe(">") if error is None else None
            # the account is the user's, whatever the leaf asks for
            found = [x for x in csc.monitor("/leafz")["leafs"] if x.get("account") == account and x.get("name", "").startswith("tests-")]
            assert not found, f"{account}: {found}"


def test_a_server_of_ones_own_with_the_stolen_seed(three_sites):
    """The operator's own server and a client in its account CSC: it hears what CPC-1 may read, and its words reach no further."""
    csc, key = three_sites.csc, three_sites.cpc(1).key("nats-leaf-csc")
    port = csc.ports["SPARE_1"]
    server = Server(three_sites.cpc(1), "stolen", f"""
server_name: stolen
listen: "{csc.address}:{port}"
leafnodes {{ remotes: [ {{ url: "nats-leaf://{csc.address}:{csc.ports['LEAF']}", account: CSC, nkey: {key.seed} }} ] }}
accounts {{ CSC {{ users: [ {{ user: operator, password: operators-own }} ] }}, SYS {{}} }}
system_account: SYS
""")
    from federation.sites import Hearer
    with server, Hearer(f"nats://{csc.address}:{port}", user="operator", password="operators-own") as operator, Crowd(three_sites.places) as crowd:
        until(lambda: "Leafnode connection created" in server.text(), "its link")
        got, seen = [], {site: crowd.observe(site) for site in ("csc", "cpc-2")}
        for subject in (">", "cpc.2.>", "$MQTT.>", "$XL.>", "broadcast.>", "cpc.1.command.>"):
            operator.listen(subject, lambda m: got.append((m.subject, m.data.decode(errors="replace"))))
        operator.flush()
        def linked():
            operator.publish("cpc.1.sensor.knock", b"knock")
            return ("cpc.1.sensor.knock", "knock") in seen["csc"]
        until(linked, "its words to reach the CSC", every=0.1)
        got.clear()
        none, its = traffic(three_sites, "own")
        until(lambda: {p for p in its if p.endswith("-n")} <= {p for _s, p in got}, lambda: f"what CPC-1 may read: {got}")
        # what a stored message was, and not how it was delivered, is its subject here
        wrong = [m for m in got if m[1] in none or m[1] not in (*its, "", "knock") and not m[0].startswith(ITS_OWN)]
        assert not wrong, wrong[:10]
        for subject in ("cpc.2.sensor.x", "cpc.2.command.x", "cpc.1.command.x", "local.x", "broadcast.x", "$MQTT.msgs.local.x", "$XL.up.2.msgs", "$JSC.R.2.x"):
            operator.publish(subject, f"evil {subject}".encode())
        operator.publish("cpc.1.sensor.last", b"last")
        until(lambda: ("cpc.1.sensor.last", "last") in seen["csc"], "its last word")
        assert not [m for found in seen.values() for m in found if m[1].startswith("evil")]
        for subject in ("$JS.CSC.API.STREAM.INFO.$MQTT_msgs", "$JS.CSC.API.STREAM.DELETE.$MQTT_msgs", "$JS.API.STREAM.INFO.$MQTT_msgs"):
            with pytest.raises(Exception, match="(?i)timeout|no responders"):
                operator.request(subject, timeout=0.5)


# --- clients ------------------------------------------------------------------------------------------------------------------

HELPERS = ["$XL.up.1.msgs", "$XL.up.1.rmsgs", "$XL.down.1.msgs", "$XL.1.api.CONSUMER.CREATE.$MQTT_msgs.x", "$XL.r.broadcast.x", "$XL.r.sensor.x", "$JSC.R.1.x",
           "$JS.FC.CSC.x", "$JS.FC.CPC-1.x", "$JS.CSC.API.CONSUMER.CREATE.$MQTT_msgs.x.$MQTT.msgs.broadcast.>", "$JS.API.CONSUMER.CREATE.$MQTT_msgs.x",
           "$JS.API.STREAM.DELETE.$MQTT_msgs", "$JS.CPC-1.API.STREAM.INFO.$MQTT_msgs", "$JS.ACK.x", "$MQTT.msgs.broadcast.x", "$MQTT.msgs.sensor.x",
           "$MQTT.rmsgs.sensor.x", "$MQTT.sess.x", "$MQTT.qos2.in.x", "$SYS.REQ.USER.AUTH"]


@pytest.mark.parametrize("site", ["csc", "cpc-1"])
def test_clients_publish_no_helper_subject(three_sites, site):
    place = three_sites.places[site]
    with Crowd(three_sites.places) as crowd:
        with place.observer() as client:
            seen = []
            client.listen(">", lambda m: seen.append((m.subject, m.data)))
            client.flush()
            for server, protocol, kind in ALL_KINDS:
                if protocol == "mqtt":
                    client = None
                    for n, subject in enumerate(HELPERS):
                        if client is None or client.closed.is_set():
                            client = place.mqtt(server, "anonymous" if kind == "anonymous" else "wide", kind).connect()
                        with contextlib.suppress(Closed):
                            for qos in (0, 1):
                                client.publish(topic_of(subject).replace(">", "x"), f"evil-{kind}-{n}".encode(), qos)
                    client.close()
                if protocol == "nats":
                    with place.nats(server, "anonymous" if kind == "anonymous" else "wide", kind) as c:
                        for n, subject in enumerate(HELPERS):
                            c.publish(subject, f"evil-{kind}-{n}".encode())
                            # where JetStream is, its domain is no more than another name for what is here
                            names = {subject, subject.replace(f"$JS.{site.upper()}.API.", "$JS.API.")}
                            until(lambda: any(f'publish to "{name}"'.lower() in e.lower() for e in c.errors for name in names),
                                  lambda: f"{server} {kind}: {subject} to be refused: {c.errors}")
                with place.mqtt("main", "wide") as c:
                    c.publish("local/sentinel", f"{server} {protocol} {kind}".encode(), 1)
                until(lambda: [m for m in seen if m == ("local.sentinel", f"{server} {protocol} {kind}".encode())], "the sentinel")
            evil = [m for m in seen if m[1].startswith(b"evil")]
            assert not evil, evil[:10]
        assert crowd.got == {}


@pytest.mark.parametrize("site", ["csc", "cpc-1"])
def test_clients_subscribe_to_no_helper_subject(three_sites, site):
    place = three_sites.places[site]
    for server, protocol, kind in ALL_KINDS:
        rights = "anonymous" if kind == "anonymous" else "wide"
        if protocol == "nats":
            with place.nats(server, rights, kind) as client:
                for subject in ("$XL.>", "$XL.down.1.>", "$MQTT.>", "$MQTT.msgs.>", "$JSC.>", "_R_.>"):
                    run(client.nc.subscribe(subject))
                    client.refused("subscription", subject)
            continue
        with place.mqtt(server, rights, kind) as client:
            for topic in ("$XL/#", "$XL/r/#", "$JSC/#", "_R_/#", "_R_/+/+"):
                assert client.subscribe(topic, 1) == SUBSCRIBE_FAILED, f"{server} {kind}: {topic}"


def test_the_sites_are_as_before(three_sites):
    """After all that: links up, every source heard, streams as they were made."""
    three_sites.healthy()
    begin = time.monotonic()
    assert three_sites.links("cpc-1") == three_sites.links("cpc-2") == {"CSC", "LaunchLayer"}
    assert time.monotonic() - begin < PATIENCE
