"""NATS clients by nats-py, for tests that are not written as coroutines: one event loop on a thread serves all of them."""
import asyncio
import queue
import threading

import nats

from . import secrets
from .wait import PATIENCE, until

_loop = asyncio.new_event_loop()
threading.Thread(target=_loop.run_forever, daemon=True, name="nats-py").start()


def run(coroutine, timeout=PATIENCE):
    return asyncio.run_coroutine_threadsafe(coroutine, _loop).result(timeout)


class Refused(Exception):
    """The server did not let the client in; the text is its error."""


class Subscription:
    def __init__(self, inner, messages):
        self._inner = inner
        self.messages = messages
        self._all = []

    def receive(self, timeout=PATIENCE):
        """The next message: an object with subject, data, reply."""
        return self.messages.get(timeout=timeout)

    def received(self):
        """All that came and was not taken yet."""
        found = []
        while not self.messages.empty():
            found.append(self.messages.get())
        return found

    def heard(self, data, subject=None):
        """
        Whether a message that holds data came, on any subject or on this one; nothing is lost by asking. What a server keeps for itself of
        a QoS 2 message before its PUBREL, permitted or not, is not counted: nobody but that server's session is served from it.
        """
        self._all += self.received()
        return [m.subject for m in self._all
                if data in m.data and subject in (None, m.subject) and not m.subject.startswith("$MQTT.qos2.in.")]


class NatsClient:
    """One client that never reconnects by itself. token, user+password, seed (an nkey's), or nothing for an anonymous one."""

    def __init__(self, url, token=None, user=None, password=None, seed=None, tls=None, name="tests", **options):
        self.errors = []
        self.closed = threading.Event()
        self._options = {"servers": [url], "allow_reconnect": False, "connect_timeout": PATIENCE, "name": name,
                         "error_cb": self._on_error, "closed_cb": self._on_closed, "max_reconnect_attempts": 0, **options}
        if token is not None:
            self._options["token"] = secrets.note(token, "a NATS token")
        if user is not None:
            self._options["user"] = user
        if password is not None:
            self._options["password"] = secrets.note(password, "a NATS password")
        if seed is not None:
            self._options["nkeys_seed_str"] = secrets.note(seed, "an nkey seed")
        if tls is not None:
            self._options["tls"] = tls
        self.nc = None

    async def _on_error(self, error):
        self.errors.append(str(error))

    async def _on_closed(self):
        self.closed.set()

    def connect(self):
        try:
            self.nc = run(nats.connect(**self._options), PATIENCE + 5)
        except Exception as error:
            raise Refused(str(error) or (self.errors or [repr(error)])[-1]) from error
        if not self.nc.is_connected:  # the library tells nothing of a server that closed while it waited
            raise Refused((self.errors or ["closed without a word"])[-1])
        return self

    def subscribe(self, subject, queue_group=""):
        """Subscribes; the server has seen it on return. Whether it took it: refused()."""
        messages = queue.Queue()

        async def on_message(message):
            messages.put(message)

        inner = run(self.nc.subscribe(subject, queue=queue_group, cb=on_message))
        self.flush()
        return Subscription(inner, messages)

    def publish(self, subject, data=b"", reply="", headers=None):
        run(self.nc.publish(subject, data, reply=reply, headers=headers))

    def request(self, subject, data=b"", timeout=PATIENCE):
        return run(self.nc.request(subject, data, timeout=timeout), timeout + 5)

    def flush(self):
        """Returns when the server has processed everything sent before, and everything that it had for us before has come."""
        run(self.nc.flush(int(PATIENCE) or 1))

    def refused(self, kind, subject):
        """Waits for the server's complaint about 'publish' or 'subscription' of this subject."""
        want = f'permissions violation for {kind} to "{subject}"'.lower()
        return until(lambda: [e for e in self.errors if want in e.lower()], lambda: f"{want}; there was {self.errors}")

    def close(self):
        if self.nc is not None and not self.nc.is_closed:
            run(self.nc.close())

    def __enter__(self):
        return self.connect()

    def __exit__(self, *_exc):
        self.close()
