"""
One login by hand over either protocol that asks the server itself for what it granted: every probed subject is subscribed to and published on,
and the answers say what was let through. Cheap enough for dozens a second.
"""
import collections
import re
import socket

from .stream import DOWN, IN, LATE, REFUSED, mqtt_packet
from .wait import PATIENCE

# key: what the service's log calls the connection by. subscribed, published: the words that the server let
# through (published: None where the protocol does not tell). echoed: the words of which our own message came back.
Login = collections.namedtuple("Login", "outcome detail key subscribed published echoed", defaults=[frozenset(), None, frozenset()])


def text_of(mark):
    return f"probe {mark}".encode()


def nats(site, members, words, mark, tls=None, port="NATS"):
    """members(wire) gives the CONNECT; words are probed as `<word>.<mark>`. tls: a context, for a port that asks for a certificate."""
    key = None
    try:
        with site.wire(port) as wire:
            key = wire.info["server_name"], wire.info["client_id"]
            if tls:
                wire.file.close()
                wire.sock = tls.wrap_socket(wire.sock)
                wire.file = wire.sock.makefile("rb")
            error = wire.connect(**members(wire))
            if error is None:
                return Login(IN, "", key, *_probe_nats(wire, words, mark))
            return Login({"Authorization Violation": REFUSED, "Authentication Timeout": LATE}.get(error, DOWN), error, key)
    except TimeoutError as late:
        return Login(LATE, str(late), key)
    except (OSError, AssertionError, ValueError) as error:
        return Login(DOWN, repr(error), key)


def _probe_nats(wire, words, mark):
    words, body = list(words), text_of(mark)
    for verb in ("SUB", "PUB"):
        for i, word in enumerate(words):
            wire.send(f"SUB {word}.{mark} {i}\r\n" if verb == "SUB" else f"PUB {word}.{mark} {len(body)}\r\n".encode() + body + b"\r\n")
    wire.send("PING\r\n")
    denied, echoed = {"Subscription": set(), "Publish": set()}, set()
    while (line := wire.line()) != "PONG":
        if line.startswith("MSG "):
            _msg, subject, *_more, size = line.split()
            assert wire.file.read(int(size) + 2)[:-2] == body, "another's message"
            echoed.add(subject.partition(".")[0])
        elif line.startswith("-ERR"):
            found = re.match(r'''-ERR 'Permissions Violation for (Subscription|Publish) to "([^."]+)\.''', line)
            assert found, line
            denied[found[1]].add(found[2])
        elif line == "PING":
            wire.send("PONG\r\n")
        else:
            assert line.startswith(("+OK", "INFO")), f"instead of what was probed: {line!r}"
    return frozenset(words) - denied["Subscription"], frozenset(words) - denied["Publish"], frozenset(echoed)


def _packet(file):
    """The type and the body of the next MQTT packet; (None, b"") at the end."""
    first = file.read(1)
    if not first:
        return None, b""
    size = shift = 0
    while True:
        digit = file.read(1)[0]
        size |= (digit & 127) << shift
        shift += 7
        if not digit & 128:
            return first[0] >> 4, file.read(size)


def _framed(first, body):
    size, length = len(body), b""
    while True:
        size, digit = size >> 7, size & 127
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def mqtt(site, words, mark, user=None, password=None, tls=None):
    """The same over MQTT: `<word>/<mark>`; to the mTLS server with a context."""
    name, file, sock = f"probe-{mark}", None, None
    try:
        sock = socket.create_connection((site.address, site.ports["MTLS_MQTT" if tls else "MQTT"]), timeout=PATIENCE)
        if tls:
            sock = tls.wrap_socket(sock)
        file = sock.makefile("rb")
        sock.sendall(mqtt_packet(user, password, name))
        kind, answer = _packet(file)
        if kind != 2:
            return Login(DOWN, "closed without a CONNACK", name)
        if answer[1]:
            return Login(REFUSED if answer[1] == 5 else DOWN, f"CONNACK {answer[1]}", name)
        found = _probe_mqtt(sock, file, words, mark)
        sock.sendall(b"\xe0\x00")
        return Login(IN, "", name, *found)
    except TimeoutError as late:
        return Login(LATE, str(late), name)
    except (OSError, AssertionError, IndexError) as error:
        return Login(DOWN, repr(error), name)
    finally:
        for one in (file, sock):
            if one:
                one.close()


def _probe_mqtt(sock, file, words, mark):
    words, body = list(words), text_of(mark)
    topics = [f"{word}/{mark}".encode() for word in words]
    asked = b"\x00\x01" + b"".join(len(t).to_bytes(2, "big") + t + b"\x00" for t in topics)
    sock.sendall(_framed(0x82, asked) + b"".join(_framed(0x30, len(t).to_bytes(2, "big") + t + body) for t in topics) + b"\xc0\x00")
    codes, echoed = None, set()
    while True:
        kind, packet = _packet(file)
        if kind == 3:
            size = int.from_bytes(packet[:2], "big")
            assert packet[2 + size:] == body, "another's message"
            echoed.add(packet[2:2 + size].decode().partition("/")[0])
        elif kind == 9:
            codes = packet[2:]
        elif kind == 13:
            break
        else:
            raise AssertionError(f"instead of what was probed: packet {kind}")
    assert codes is not None and len(codes) == len(words), "an answer to each subscription"
    return frozenset(word for word, code in zip(words, codes, strict=True) if code == 0), None, frozenset(echoed)
