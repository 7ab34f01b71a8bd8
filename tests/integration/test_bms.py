"""Real traffic of a building: published by a certificate device through the mTLS server, read by a token client of the main server."""
import collections
import csv
import os
import queue
import threading
import time
from pathlib import Path

import pytest

from harness.bus import TOP
from harness.wait import PATIENCE, until

SHARED = Path(os.environ.get("EB_SHARED") or TOP / "../shared")


def own_rows():
    """Rows of the same shape, for where the recorded ones are not at hand."""
    rows = [(f"BMS/v1/PUB/Metadata/Sensor/Temperature/hall/rack{i}/value", '{"objectType":"Sensor","engUnit":"°C","objectId":"%d"}' % i)
            for i in range(40)]
    return rows + [(f"BMS/v1/PUB/Value/Sensor/Temperature/hall/rack{i % 40}/value", '{"value":%d.5,"quality":1}' % i) for i in range(1200)]


@pytest.fixture(scope="module")
def rows():
    path = SHARED / "data/bms-exemplar.csv"
    if not path.exists():
        print(f"left out: {path} is not there; rows of our own take its place")
        found = own_rows()
    else:
        with path.open(newline="", encoding="utf-8") as f:
            found = [(row["topic"], row["payload"]) for row in csv.DictReader(f)]
        assert len(found) > 4000
    return [(topic, payload.encode(), "/Metadata/" in topic) for topic, payload in found]


READY = "BMS/ready"


def collect(messages, n, of=lambda message: message):
    """The next n of a queue, as of() sees them; fewer only where nothing comes any more. What asked whether all is ready is left out."""
    found = []
    try:
        while len(found) < n:
            message = of(messages.get(timeout=PATIENCE))
            if message[0] != READY:
                found.append(message)
    except queue.Empty:
        pass
    return found


class Publisher:
    """Sends all rows and waits for all acknowledgements, many at a time."""

    def __init__(self, client):
        self.client = client
        self.left = 0
        self.change = threading.Condition()
        client.paho.on_publish = self._on_publish

    def _on_publish(self, *_args):
        with self.change:
            self.left -= 1
            self.change.notify_all()

    def send(self, rows, qos):
        self.left += len(rows)
        for topic, payload, retain in rows:
            assert self.client.paho.publish(topic, payload, qos, retain).rc == 0
        end = time.monotonic() + 4 * PATIENCE
        with self.change:
            assert self.change.wait_for(lambda: self.left <= 0 or self.client.closed.is_set(), end - time.monotonic()), f"{self.left} left"
        assert not self.client.closed.is_set()


def test_every_row_arrives_byte_for_byte(new_site, rows):
    site = new_site()
    reader_token = site.idp.token("bms-reader")
    metadata = {topic: payload for topic, payload, retain in rows if retain}
    assert metadata
    with site.mqtt(reader_token) as reader, site.nats(reader_token) as nats_reader:
        assert reader.subscribe("BMS/#", 1) == 1
        plain = nats_reader.subscribe("BMS.>")
        device = site.mqtts(site.client_tls("bms"))
        device.paho.max_inflight_messages_set(200)
        with device:
            # the reader's interest has to be known across the link first: what is not heard is only stored
            until(lambda: (device.publish(READY, b"?", 0), device.barrier(), reader.received())[-1], "the reader to be heard of")
            until(lambda: plain.received(), "the NATS reader to be heard of")
            Publisher(device).send(rows, 1)
            wanted = [(topic, payload) for topic, payload, _retain in rows]
            same_rows(collect(reader.messages, len(rows), lambda m: m[:2]), wanted)
            same_rows(collect(plain.messages, len(rows), lambda m: (m.subject.replace(".", "/"), m.data)), wanted)
            # QoS 0 as well, nothing retained again
            values = [(topic, payload, False) for topic, payload, retain in rows if not retain][:1000]
            Publisher(device).send(values, 0)
            same_rows(collect(reader.messages, len(values), lambda m: m[:2]), [row[:2] for row in values])
    # whoever comes later gets all metadata, flagged as retained, and nothing else
    with site.mqtt(site.idp.token("bms-reader")) as late:
        assert late.subscribe("BMS/#", 1) == 1
        got = collect(late.messages, len(metadata))
        late.barrier()
        assert late.messages.empty()
        assert all(retain for _topic, _payload, _qos, retain in got)
        assert {topic: payload for topic, payload, _qos, _retain in got} == metadata and len(got) == len(metadata)
    # and through the other server too
    with site.mqtts(site.client_tls("bms")) as device:
        assert device.subscribe("BMS/#", 1) == 0x80, "the device may only publish"
        with site.mqtt(site.idp.token("bms-reader")) as reader:
            reader.publish("BMS/v1/PUB/Metadata/x", b"forged", 1, retain=True)
            assert reader.subscribe("BMS/v1/PUB/Metadata/x", 1) == 1
            reader.barrier()
            assert reader.messages.empty(), "a reader may not publish"


def same_rows(got, wanted):
    """The same rows in the same order for each topic; the first difference is told."""
    lost, more = collections.Counter(wanted) - collections.Counter(got), collections.Counter(got) - collections.Counter(wanted)
    assert not lost and not more, f"lost {sum(lost.values())}: {list(lost)[:2]}; too many {sum(more.values())}: {list(more)[:2]}"
    order, in_order = collections.defaultdict(list), collections.defaultdict(list)
    for topic, payload in got:
        order[topic].append(payload)
    for topic, payload in wanted:
        in_order[topic].append(payload)
    assert order == in_order, "rows of a topic in another order"
