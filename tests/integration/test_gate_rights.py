"""
What auth-callout's own user may ask of JetStream: the state of the site's four streams, over imports of the account AUTHX, and nothing else. And
what nobody else gets by those imports.
"""
import contextlib
import json
import queue

import pytest

from harness.natsio import Refused
from harness.plain import STREAMS

CLOSED = ["INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.OTHER", "STREAM.INFO.$MQTT_sess", "STREAM.CREATE.XL_RETAINED",
          "STREAM.UPDATE.$MQTT_msgs", "STREAM.DELETE.$MQTT_msgs", "STREAM.PURGE.$MQTT_rmsgs", "STREAM.MSG.GET.$MQTT_msgs", "DIRECT.GET.$MQTT_rmsgs",
          "CONSUMER.CREATE.$MQTT_msgs", "CONSUMER.NAMES.$MQTT_msgs", "STREAM.SNAPSHOT.$MQTT_msgs", "STREAM.LEADER.STEPDOWN.$MQTT_msgs"]


def ask(client, what):
    return json.loads(client.request(f"$JS.API.{what}", b"", timeout=5).data)


def test_the_service_asks_for_the_four_streams_alone(federation):
    told_by(federation)


@pytest.mark.timeout(180)
def test_the_same_at_each_node_of_a_cluster(new_federation):
    told_by(new_federation(sites=("csc",), replicas=3))


def told_by(sites):
    for site in sites:
        for node in range(len(site.nodes)):
            with site.nats(seed=site.key("service").seed, node=node) as client:
                told = {stream: ask(client, f"STREAM.INFO.{stream}") for stream in STREAMS}
                assert {stream: answer["config"]["name"] for stream, answer in told.items()} == {stream: stream for stream in STREAMS}
                # each site's own: no two have the same first sequence
                assert told["$MQTT_qos2in"]["config"]["first_seq"] == definitions(site)["$MQTT_qos2in"]["first_seq"]
                answers = client.subscribe("_INBOX.closed.>")
                for n, what in enumerate(CLOSED):
                    client.publish(f"$JS.API.{what}", b"{}", reply=f"_INBOX.closed.{n}")
                client.flush()
                for what in CLOSED:
                    client.refused("publish", f"$JS.API.{what}")
                assert not answers.received()


def definitions(site):
    return {stream["name"]: stream for stream in json.loads((site.dir / "conf/streams.json").read_text())}


@pytest.mark.parametrize("stream", STREAMS)
def test_the_authx_leaf_does_not_ask(site, stream):
    """Whoever has the seed of the mTLS server's link into AUTHX is in the account that imports them."""
    with contextlib.closing(site.leaf(account="AUTHX")) as leaf:
        assert leaf.connect(**leaf.sign(site.key("mtls-authx-leaf"))) is None
        leaf.subscribe("_INBOX.>")
        leaf.subscribe("$SYS._INBOX.>")
        for reply in ("_INBOX.evil", "$SYS._INBOX.evil"):
            leaf.publish(f"$JS.API.STREAM.INFO.{stream}", b"", reply)
        leaf.send("PING\r\n")
        with site.decision("mtls"), site.mqtts():  # a callout behind it, so that an answer would have come
            pass
        with pytest.raises(queue.Empty):
            while True:
                subject, _reply, payload = leaf.messages.get_nowait()
                assert b"stream_info_response" not in payload, subject


def test_nobody_hears_what_the_service_is_told(site):
    """Answers go to the service's own inbox in AUTHX: who watches in AUTH, and who sees everything in the data account, sees none."""
    with site.nats(seed=site.key("auth-watch").seed) as watcher, site.nkey_client("observer") as observer:
        heard = [watcher.subscribe("_INBOX.>"), observer.subscribe("_INBOX.>")]
        with site.nats(seed=site.key("service").seed) as service:
            for stream in STREAMS:
                assert "config" in ask(service, f"STREAM.INFO.{stream}")
        for client in (watcher, observer):
            client.flush()
        assert [m.subject for subscription in heard for m in subscription.received() if b"stream_info_response" in m.data] == []


def test_who_watches_in_auth_does_not_ask(site):
    with site.nats(seed=site.key("auth-watch").seed) as watcher:
        for stream in STREAMS:
            watcher.publish(f"$JS.API.STREAM.INFO.{stream}", b"", reply="_INBOX.x")
        watcher.flush()
        for stream in STREAMS:
            watcher.refused("publish", f"$JS.API.STREAM.INFO.{stream}")


@pytest.mark.parametrize("name", ["service", "mtls-authx-leaf"])
def test_the_seed_opens_nothing_by_a_callout(site, name):
    """The service's user is one of the configuration alone: on the mTLS server, which asks for everybody, it is nobody."""
    with pytest.raises(Refused):
        site.nats(seed=site.key(name).seed, port="MTLS_NATS").connect()
