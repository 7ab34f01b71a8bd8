"""MQTT clients of the federation suites: one that hands every message on, and ones that live through outages."""
import collections
import ssl
import threading
import time
import uuid

import paho.mqtt.client as paho

from harness import secrets
from harness.mqtt import MqttClient
from harness.wait import PATIENCE, until


class Listener(MqttClient):
    """on_copy(topic, payload, qos, retain, dup) is called with every message, on the client's own thread."""

    def __init__(self, *args, on_copy, **options):
        super().__init__(*args, **options)
        self._on_copy = on_copy

    def _on_message(self, _client, _userdata, message):
        self._on_copy(message.topic, bytes(message.payload), message.qos, bool(message.retain), bool(message.dup))


class Steady:
    """
    A client with a persistent session that reconnects by itself for as long as it takes, as a device does. where: (host, port, user, password,
    tls). Addresses after the first one (`also`) are tried in turn: a cluster's nodes.
    """

    def __init__(self, where, client_id=None, also=()):
        host, port, user, password, tls = where
        self.client_id = client_id or "steady-" + uuid.uuid4().hex[:12]
        self.connects = []  # times
        self.losses = []
        self._addresses, self._turn = [(host, port), *also], 0
        c = self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=self.client_id, clean_session=False, protocol=paho.MQTTv311)
        c.reconnect_delay_set(0.1, 0.4)
        c.connect_timeout = 3
        c.max_inflight_messages_set(100)
        c.max_queued_messages_set(0)
        if password is not None:
            c.username_pw_set(user, secrets.note(password, "an MQTT password"))
        if tls:
            ca, cert, key = tls
            c.tls_set(ca_certs=str(ca), certfile=str(cert), keyfile=str(key), cert_reqs=ssl.CERT_REQUIRED)
            c.tls_insecure_set(True)
        c.on_connect, c.on_disconnect, c.on_connect_fail = self._on_connect, self._on_disconnect, self._turn_to_next

    def _on_connect(self, _client, _userdata, _flags, code, _properties):
        if code.value == 0:
            self.connects.append(time.time())
            self.connected()

    def _on_disconnect(self, *_args):
        self.losses.append(time.time())
        self._turn_to_next()

    def _turn_to_next(self, *_args):
        if len(self._addresses) > 1:
            self._turn += 1
            host, port = self._addresses[self._turn % len(self._addresses)]
            self.paho.connect_async(host, port, 30)

    def connected(self):
        """Called on the client's thread at each connection."""

    def start(self):
        self.paho.connect_async(*self._addresses[0], 30)
        self.paho.loop_start()
        until(lambda: self.connects, f"{self.client_id} to connect")
        return self

    def stop(self):
        self.paho.disconnect()
        self.paho.loop_stop()


class Sender(Steady):
    """Publishes ids at a steady rate until it is told to stop; what was acknowledged, and when, stands in `acked`."""

    def __init__(self, where, topic, rate, qos=1, name=None, **options):
        super().__init__(where, **options)
        self.topic, self.rate, self.qos = topic, rate, qos
        self.name = name or uuid.uuid4().hex[:6]
        self.sent = {}    # id -> time
        self._mids, self._acks = [], []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.paho.on_publish = lambda _c, _u, mid, _code, _p: self._acks.append((mid, time.time()))

    def start(self):
        super().start()
        self._thread.start()
        return self

    def _run(self):
        began, n = time.monotonic(), 0
        while not self._end.is_set():
            n += 1
            key = f"{self.name}-{n}"
            self.sent[key] = time.time()
            self._mids.append((self.paho.publish(self.topic, key, self.qos).mid, key))
            ahead = began + n / self.rate - time.monotonic()
            if ahead > 0:
                self._end.wait(ahead)

    @property
    def acked(self):
        """id -> time of its PUBACK or PUBCOMP."""
        keys, found = dict(self._mids), {}
        for mid, at in self._acks:
            if mid in keys:
                found[keys[mid]] = at
        return found

    def finish(self):
        """Stops publishing, and waits until all is acknowledged."""
        self._end.set()
        self._thread.join(PATIENCE)
        until(lambda: len(self._acks) >= len(self.sent), lambda: f"{self.name}: {len(self._acks)} of {len(self.sent)} acknowledged", timeout=4 * PATIENCE)
        return self


class Receiver(Steady):
    """A persistent session; counts what it gets."""

    def __init__(self, where, topics, qos=1, **options):
        super().__init__(where, **options)
        self.topics, self.qos = topics, qos
        self.got = collections.defaultdict(list)  # payload -> [(time, dup)]
        self.newest = collections.Counter()       # name of a sender -> the highest number that came
        self.ready = threading.Event()
        self.paho.on_message = self._on_message
        self.paho.on_subscribe = lambda *_: self.ready.set()

    def connected(self):
        if len(self.connects) == 1:  # afterwards the session has them
            self.paho.subscribe([(topic, self.qos) for topic in self.topics])

    def start(self):
        super().start()
        assert self.ready.wait(PATIENCE), f"no SUBACK for {self.topics}"
        return self

    def _on_message(self, _client, _userdata, message):
        key = message.payload.decode()
        self.got[key].append((time.time(), message.dup))
        name, _, number = key.rpartition("-")
        if number.isdecimal():
            self.newest[name] = max(self.newest[name], int(number))

    def repeats(self):
        """id -> how often it came too much."""
        return {key: len(copies) - 1 for key, copies in list(self.got.items()) if len(copies) > 1}

    def longest_gap(self, begin, end):
        """Seconds without a message between two times."""
        times = sorted(at for copies in list(self.got.values()) for at, _dup in copies if begin <= at <= end)
        marks = [begin, *times, end]
        return max(b - a for a, b in zip(marks, marks[1:]))
