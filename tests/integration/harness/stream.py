"""
A stream of connects: good clients that must be let in and bad ones that must not, one behind the other on a few threads, while a test
changes or breaks things beneath them. Nothing here sleeps; each client waits for its verdict.
"""
import collections
import socket
import ssl
import threading
import time
import uuid

from . import secrets
from .tokens import forge, rs256_stranger
from .wait import PATIENCE, until

# What became of an attempt. DOWN: no connection, or it ended without a verdict; LATE: the server gave up waiting for a verdict.
IN, REFUSED, DOWN, LATE = "in", "refused", "down", "late"

Attempt = collections.namedtuple("Attempt", "kind good outcome began took detail")
Kind = collections.namedtuple("Kind", "good attempt")


def nats_attempt(site, members):
    """One NATS client; members(wire) gives its CONNECT. Returns (outcome, detail)."""
    try:
        with site.wire() as wire:
            error = wire.connect(**members(wire))
    except TimeoutError as late:
        return LATE, str(late)
    except (OSError, AssertionError, ValueError) as down:
        return DOWN, repr(down)
    if error is None:
        return IN, ""
    outcome = {"Authorization Violation": REFUSED, "Authentication Timeout": LATE}.get(error, DOWN)
    return outcome, error


def mqtt_packet(user=None, password=None, client_id=None):
    """A CONNECT of MQTT 3.1.1; without a client id, with one of its own."""
    def text(s):
        return len(s).to_bytes(2, "big") + s.encode()
    body = b"\x00\x04MQTT\x04" + bytes([0x02 | (0x80 if user else 0) | (0x40 if password else 0)]) + b"\x00\x3c"
    body += text(client_id or uuid.uuid4().hex[:20]) + (text(user) if user else b"") + (text(password) if password else b"")
    size, length = len(body), b""
    while True:
        size, digit = size >> 7, size & 127
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return b"\x10" + length + body


def mqtt_attempt(site, user=None, password=None, tls=None):
    """One MQTT client; tls: a context, for the mTLS server."""
    sock = None
    try:
        sock = socket.create_connection((site.address, site.ports["MTLS_MQTT" if tls else "MQTT"]), timeout=PATIENCE)
        if tls:
            sock = tls.wrap_socket(sock)
        sock.sendall(mqtt_packet(user, password))
        answer = b""
        while len(answer) < 4:
            got = sock.recv(4 - len(answer))
            if not got:
                return DOWN, "closed without a CONNACK"
            answer += got
        if answer[3] == 0:
            sock.sendall(b"\xe0\x00")
            return IN, ""
        return (REFUSED if answer[3] == 5 else DOWN), f"CONNACK {answer[3]}"
    except TimeoutError as late:
        return LATE, str(late)
    except OSError as down:
        return DOWN, repr(down)
    finally:
        if sock:
            sock.close()


def client_context(site, paths=None):
    ca, cert, key = paths or site.client_tls()
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    context.load_cert_chain(str(cert), str(key))
    return context


def kinds_of(site):
    """Name -> Kind: every credential over each protocol that takes it, and clients that nobody may let in."""
    good = site.idp.token("mqtt-client", exp="now+900")
    expired = site.idp.token("mqtt-client", exp="now-5")
    kid = site.idp.kid()
    forged = forge({"typ": "JWT", "alg": "RS256", "kid": kid}, site.idp.good_claims(exp=int(time.time()) + 900), rs256_stranger)
    unknown = site.idp.token(azp="nobody-knows", sub="nobody-knows", exp="now+900")
    key, stranger = site.key("t-plain"), site.key("not-listed")
    for token in (good, expired, forged, unknown):
        secrets.note(token, "a token of the stream")
    tls = client_context(site)
    stranger_tls = client_context(site, site.issue_tls("nobody-knows.csc"))

    def password(token):
        return lambda _wire: {"user": "oauthtoken", "pass": token}
    return {
        "nats token": Kind(True, lambda: nats_attempt(site, password(good))),
        "mqtt token": Kind(True, lambda: mqtt_attempt(site, "oauthtoken", good)),
        "certificate": Kind(True, lambda: mqtt_attempt(site, tls=tls)),
        "nkey": Kind(True, lambda: nats_attempt(site, lambda wire: wire.sign(key))),
        "anonymous": Kind(True, lambda: nats_attempt(site, lambda _wire: {})),
        "expired token": Kind(False, lambda: nats_attempt(site, password(expired))),
        "forged token": Kind(False, lambda: mqtt_attempt(site, "oauthtoken", forged)),
        "unknown client": Kind(False, lambda: nats_attempt(site, password(unknown))),
        "unknown certificate": Kind(False, lambda: mqtt_attempt(site, tls=stranger_tls)),
        "unknown nkey": Kind(False, lambda: nats_attempt(site, lambda wire: wire.sign(stranger))),
        "unknown user": Kind(False, lambda: mqtt_attempt(site, "somebody", "guess work")),
    }


class Stream:
    """
    with Stream(site) as stream: ... At its end: no bad client was let in, no good one refused, and every attempt had its verdict unless
    it overlapped an outage (`with stream.outage():`), which a test declares while it breaks something. `stream.counts` says how many.
    """

    def __init__(self, site, only=None, threads=3):
        self.site = site
        self.kinds = {name: kind for name, kind in kinds_of(site).items() if only is None or name in only}
        self.attempts = []
        self.counts = collections.Counter()
        self._windows = []  # [from, to or None]
        self._stop = threading.Event()
        self._errors = []
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]
        # a refusal as late as this is none: the server had no answer
        self._timeout = float(site.bus.settings.get("CALLOUT_TIMEOUT", 50))

    def _run(self, turn):
        names = list(self.kinds)
        try:
            while not self._stop.is_set():
                turn += 1
                self._one(names[turn % len(names)])
        except Exception as error:  # a fault of the test itself
            self._errors.append(error)

    def _one(self, name):
        kind, began = self.kinds[name], time.monotonic()
        outcome, detail = kind.attempt()
        took = time.monotonic() - began
        if outcome == REFUSED and took >= self._timeout - 0.05:
            outcome = LATE
        self.attempts.append(Attempt(name, kind.good, outcome, began, took, detail))
        if outcome == DOWN:
            self._stop.wait(0.02)  # a closed port answers at once: no busy loop on it

    def outage(self):
        """Attempts that overlap this block, or its effects up to the end of the block, may go without a verdict."""
        stream = self

        class Window:
            def __enter__(self):
                self.window = [time.monotonic(), None]
                stream._windows.append(self.window)

            def __exit__(self, *_exc):
                self.window[1] = time.monotonic()
        return Window()

    def flowing(self, n=1, timeout=PATIENCE * 2):
        """Waits until n attempts of every kind that began after this call have had the right verdict."""
        begin = time.monotonic()

        def done():
            assert not self._errors, self._errors
            seen = collections.Counter(a.kind for a in list(self.attempts) if a.began >= begin and a.outcome == (IN if a.good else REFUSED))
            return all(seen[name] >= n for name in self.kinds)
        until(done, lambda: f"every kind of client to have its verdict: {[a for a in self.attempts if a.began >= begin][-8:]}", timeout=timeout)

    def _excused(self, attempt):
        return any(attempt.began <= (to or attempt.began) and attempt.began + attempt.took >= begin for begin, to in self._windows)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_exc):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE * 2)
        if kind is None:
            self.check()

    def check(self):
        assert not self._errors, self._errors
        self.counts = collections.Counter((a.kind, a.outcome) for a in self.attempts)
        wrong = [a for a in self.attempts if a.outcome == (REFUSED if a.good else IN)]
        assert not wrong, f"wrong verdicts: {wrong[:5]} of {self.counts}"
        lost = [a for a in self.attempts if a.outcome in (DOWN, LATE) and not self._excused(a)]
        assert not lost, f"without a verdict: {lost[:5]} of {self.counts}"
        assert all(self.counts[name, IN if kind.good else REFUSED] for name, kind in self.kinds.items()), self.counts


def comes_to(attempt, outcome, within):
    """Repeats an attempt until it ends like this; the seconds until then, which must be at most `within`."""
    begin = time.monotonic()
    until(lambda: attempt()[0] == outcome, f"the outcome {outcome!r}", timeout=within + PATIENCE, every=0.005)
    took = time.monotonic() - begin
    assert took <= within, f"{outcome!r} only after {took:.2f} s"
    return took
