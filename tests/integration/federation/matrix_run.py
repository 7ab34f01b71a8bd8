"""Plays the matrix on three sites: publishers, subscribers, late ones, clearing. What came is compared by the tests, with matrix.py."""
import contextlib
import time

from harness.wait import PATIENCE, until

from .ledger import Ledger
from .matrix import LATE, LIVE, NATS, SERVERS, SITES, STORED, TREES, Subscriber, topic_of


def filters(subscriber):
    """What a subscriber asks for, in the words of its protocol."""
    if subscriber.wide:
        return [">"] if subscriber.kind == NATS else ["#"]
    return TREES if subscriber.kind == NATS else [topic_of(tree).replace(">", "#") for tree in TREES]


class MatrixRun:
    """
    sites: name -> object with listener(server, rights, on_copy, **options), mqtt(server, rights, **options), nats(server, rights);
    rights: wide (all of the account), narrow (matrix.TREES), publisher.
    """

    def __init__(self, sites, subscribers, publications):
        self.sites, self.subscribers, self.publications = sites, subscribers, publications
        self.ledger = Ledger()
        self.cleared = []
        self._stack = contextlib.ExitStack()
        self._publishers = {}

    def close(self):
        self._stack.close()

    def _mqtt(self, s, client_id, clean):
        client = self.sites[s.site].listener(s.server, "wide" if s.wide else "narrow", self.ledger.writer(s), client_id=client_id, clean=clean)
        return client.connect()

    def _subscribe(self, client, s):
        granted = client.subscribe([(f, s.qos) for f in filters(s)])
        assert granted == [s.qos] * len(granted), f"{s}: subscriptions answered with {granted}"

    def _stored_id(self, s):
        return "m-" + s.name.replace(" ", "-").replace("#", "w")

    def subscribe(self):
        """Live subscribers and NATS clients are in; persistent sessions are made, and left."""
        for s in self.subscribers:
            if s.kind == NATS:
                client = self._stack.enter_context(self.sites[s.site].nats(s.server, "wide" if s.wide else "narrow"))
                write = self.ledger.writer(s)
                for subject in filters(s):
                    client.listen(subject, lambda m, write=write: write(m.subject, m.data))
                client.flush()
                assert not client.errors, f"{s}: {client.errors}"
                continue
            client = self._mqtt(s, self._stored_id(s), clean=s.kind == LIVE)
            self._subscribe(client, s)
            if s.kind == STORED:
                client.close()
                until(client.closed.is_set, f"{s} to be gone")
            else:
                self._stack.callback(client.close)

    def _publisher(self, site, server, nats):
        key = site, server, nats
        if key not in self._publishers:
            there = self.sites[site]
            client = there.nats(server, "publisher") if nats else there.mqtt(server, "publisher")
            self._publishers[key] = self._stack.enter_context(client)
        return self._publishers[key]

    def publish(self, publications, clear=False):
        """In order; each MQTT publication is acknowledged before the next. clear: empty and retained."""
        for p in publications:
            if p.nats and not clear:
                self._publisher(p.family.site, p.server, True).publish(p.subject, p.id.encode())
            else:
                client = self._publisher(p.family.site, p.server, False)
                client.publish(topic_of(p.subject), b"" if clear else p.id.encode(), 1 if clear else p.qos, clear or p.retain)
        for (_site, _server, nats), client in self._publishers.items():
            if nats:
                client.flush()
                assert not client.errors, client.errors
        if clear:
            self.cleared += publications

    def reconnect_stored(self):
        for s in self.subscribers:
            if s.kind == STORED:
                self._stack.callback(self._mqtt(s, self._stored_id(s), clean=False).close)

    def come(self, subscribers, publications, key=str, timeout=PATIENCE):
        """Waits for the copies that must come; does not complain, the comparison names what did not."""
        with contextlib.suppress(AssertionError):
            until(lambda: not self.ledger.missing(subscribers, publications, key), "", timeout=timeout, every=0.1)

    def late(self, subscribers):
        """These come in now, and stay."""
        for n, s in enumerate(subscribers):
            client = self._mqtt(s, f"late-{time.monotonic_ns()}-{n}", clean=True)
            self._stack.callback(client.close)
            self._subscribe(client, s)

    def quiet(self, seconds):
        """Until nothing has come for so long."""
        until(lambda: time.monotonic() - self.ledger.last >= seconds, "", timeout=seconds + 10 * PATIENCE, every=0.1)


def viewers():
    """One more subscriber a server, who looks at what is retained after clearing."""
    return [Subscriber(site, server, LATE, 2, server == "main") for site in SITES for server in SERVERS]
