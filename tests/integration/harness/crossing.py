"""
Messages as MQTT stores them (QoS 1), published in one site and counted in the streams of the others.

  flows = [Flow(bus.site("cpc-1"), "sensor.t", [(bus.site("csc"), "cpc.1.sensor.t")]), …]
  with Traffic(flows, rate=100): …cut, restart…
  flow.result(since=t) -> Result(lost, doubled, disordered, first): per target; first: when the first message that was published
                          after `since` came into the target's stream
"""
import asyncio
import base64
import json
import threading
import time
from collections import namedtuple
from datetime import datetime

import nats

from .natsio import run
from .plain import PASSWORD
from .wait import PATIENCE, until

Result = namedtuple("Result", "target sent lost doubled disordered first")
PREFIX = "$MQTT.msgs."


def seconds(stamp):
    """Of "2026-01-02T03:04:05.123456789Z": digits behind the microseconds are cut."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float("0." + (fraction or "0"))


async def connect(site):
    async def ignore(_error):
        pass
    return await nats.connect(site.urls, user="app", password=PASSWORD, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=ignore)


class Flow:
    def __init__(self, source, subject, targets):
        self.source, self.subject, self.targets = source, subject, targets
        self.acknowledged = set()
        self.count = 0
        self.run_id = f"{time.time_ns():x}"

    async def publish(self, nc):
        self.count += 1
        number = self.count
        try:
            answer = await nc.request(PREFIX + self.subject, f"{self.run_id} {number} {time.time():.6f}".encode(), timeout=3)
            if "seq" in json.loads(answer.data):
                self.acknowledged.add(number)
        except Exception:
            pass  # not acknowledged, so nobody is promised anything

    async def drive(self, rate, stop):
        nc = await connect(self.source)
        tasks = set()
        while not stop.is_set():
            if nc.is_connected:
                task = asyncio.ensure_future(self.publish(nc))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / rate)
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        await nc.close()

    def stored(self, site, subject, last=False):
        """(number, published, stored) of each message of this flow that a stream holds, in its order; or only of the last one."""
        async def read():
            nc = await connect(site)
            found, at = [], 1
            while True:  # one by one: nats-py cannot read the acknowledgement subjects that have a domain
                ask = {"last_by_subj": PREFIX + subject} if last else {"seq": at, "next_by_subj": PREFIX + subject}
                answer = json.loads((await nc.request("$JS.API.STREAM.MSG.GET.$MQTT_msgs", json.dumps(ask).encode(), timeout=10)).data)
                if "error" in answer:
                    break
                message = answer["message"]
                at = message["seq"] + 1
                found.append((base64.b64decode(message["data"]).decode(), seconds(message["time"])))
                if last:
                    break
            await nc.close()
            return found
        parts = [(text.split(), at) for text, at in run(read(), 120)]
        return [(int(p[1]), float(p[2]), at) for p, at in parts if p[0] == self.run_id]

    def results(self, since=None):
        origin = [m[0] for m in self.stored(self.source, self.subject)]
        wanted = set(origin) | self.acknowledged
        found = []
        for site, subject in self.targets:
            have = self.stored(site, subject)
            numbers = [m[0] for m in have]
            first = min((at for _, published, at in have if since and published > since), default=None)
            # What the origin's stream itself holds twice is none of the sourcing's doing.
            doubled = len(numbers) - len(set(numbers)) - (len(origin) - len(set(origin)))
            disordered = sum(a > b for a, b in zip(numbers, numbers[1:])) - sum(a > b for a, b in zip(origin, origin[1:]))
            found.append(Result(site.name, len(origin), len(wanted - set(numbers)), doubled, disordered, first))
        return found

    def complete(self, timeout=PATIENCE):
        """Waits until the last message is everywhere."""
        last = max(self.acknowledged)
        for site, subject in self.targets:
            until(lambda: any(m[0] >= last for m in self.stored(site, subject, last=True)), f"the last message in {site.name}", timeout, 0.3)


class Traffic:
    def __init__(self, flows, rate):
        self.flows, self.rate = flows, rate
        self._stop = threading.Event()

    def __enter__(self):
        self._stop.clear()

        async def start():
            return [asyncio.ensure_future(f.drive(self.rate, self._stop)) for f in self.flows]
        self._tasks = run(start())
        return self

    def __exit__(self, *_exc):
        self._stop.set()

        async def join():
            await asyncio.wait(self._tasks, timeout=15)
        run(join(), 20)
