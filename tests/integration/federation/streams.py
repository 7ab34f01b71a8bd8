"""What the streams of a site hold and how their sources do, seen by an internal NATS client of the site's data account."""
import collections
import json
import re
from dataclasses import dataclass

from harness.natsio import run
from harness.wait import PATIENCE


@dataclass(frozen=True)
class Stored:
    subject: str
    key: str   # the payload
    at: float  # time of its arrival in this stream, seconds
    seq: int


class Streams:
    def __init__(self, client):
        self.client = client  # a harness.natsio.NatsClient, connected

    def ask(self, what, body=b"", timeout=PATIENCE):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.loads(self.client.request(f"$JS.API.{what}", data, timeout).data)

    def info(self, stream, **options):
        return self.ask(f"STREAM.INFO.{stream}", options or b"")

    def names(self):
        return sorted(self.ask("STREAM.NAMES").get("streams") or [])

    def sources(self, stream):
        return self.info(stream).get("sources") or []

    def idle(self, streams=("$MQTT_msgs", "$MQTT_rmsgs")):
        """Seconds since each source was last heard, by stream and filter; a source that never was: infinite."""
        found = {}
        for stream in streams:
            for source in self.sources(stream):
                name = (source.get("subject_transforms") or [{}])[0].get("dest") or source.get("filter_subject")
                found[stream, name] = source["active"] / 1e9 if source["active"] >= 0 else float("inf")
        return found

    def read(self, stream="$MQTT_msgs", subject=None, since=1):
        """Every message of a stream from a sequence on, in order."""
        return run(self._read(stream, subject, since), 120)

    async def _read(self, stream, subject, since):
        nc, found = self.client.nc, []
        inbox = nc.new_inbox()
        sub = await nc.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
        config = {"deliver_policy": "by_start_sequence", "opt_start_seq": since, "ack_policy": "none", "mem_storage": True,
                  "inactive_threshold": 30_000_000_000, "num_replicas": 1}
        if subject:
            config["filter_subject"] = subject
        wish = json.dumps({"stream_name": stream, "config": config}).encode()
        made = json.loads((await nc.request(f"$JS.API.CONSUMER.CREATE.{stream}", wish, timeout=10)).data)
        assert "error" not in made, made
        name, pending = made["name"], made["num_pending"]
        while pending:
            await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", json.dumps({"batch": 500, "expires": 5_000_000_000}).encode(), reply=inbox)
            for _ in range(min(500, pending)):
                msg = await sub.next_msg(10)
                words = msg.reply.split(".")  # $JS.ACK.[domain.account.]stream.consumer.delivered.sseq.cseq.time.pending[.token]
                at = 5 if len(words) == 9 else 7
                found.append(Stored(msg.subject, msg.data.decode(errors="replace"), int(words[at + 2]) / 1e9, int(words[at])))
            pending = int(words[at + 3])
        await sub.unsubscribe()
        await nc.request(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"", timeout=10)
        return found


def counts(stored, pattern=None):
    """How often each payload is stored, of those whose subject matches a regular expression."""
    return collections.Counter(m.key for m in stored if pattern is None or re.search(pattern, m.subject))
