"""The NATS protocol by hand, for what no client library would send: odd CONNECTs, and leaf connections."""
import contextlib
import json
import queue
import socket
import threading
import uuid

from . import nkeys, secrets
from .tokens import b64
from .wait import PATIENCE


class Wire:
    """A socket that speaks lines. connect() sends a CONNECT of one's own making."""

    def __init__(self, host, port, bind=""):
        self.sock = socket.create_connection((host, port), timeout=PATIENCE, source_address=(bind, 0) if bind else None)
        self.file = self.sock.makefile("rb")
        line = self.line()
        assert line.startswith("INFO "), line
        self.info = json.loads(line[5:])

    def line(self):
        """The next line without its end; the empty string at the end of the connection."""
        try:
            return self.file.readline().decode().rstrip("\r\n")
        except ConnectionError:
            return ""

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def sign(self, key):
        """The CONNECT members of a login by nkey."""
        return {"nkey": key.public, "sig": b64(key.sign(self.info["nonce"].encode()))}

    def connect(self, **members):
        """Sends CONNECT and PING; returns None when the server let us in, or its error, or '' where it just closed."""
        base = {"verbose": False, "pedantic": False, "lang": "tests", "version": "1", "protocol": 1, "headers": True, "no_responders": True}
        return self._login(base | members)

    def _login(self, members):
        for name in ("pass", "auth_token", "jwt"):
            if members.get(name):
                secrets.note(members[name], f"a NATS {name}")
        with contextlib.suppress(ConnectionError):  # what the server says before it ends is read all the same
            self.send("CONNECT " + json.dumps(members) + "\r\nPING\r\n")
        while True:
            line = self.line()
            if line.startswith("-ERR"):
                return line[5:].strip("'")
            if line == "PONG":
                return None
            if not line:
                return ""
            self._line(line)

    def _line(self, line):
        """What comes between CONNECT and the server's verdict."""
        if line == "PING":
            self.send("PONG\r\n")

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a reader, which would keep close() waiting
        except OSError:
            pass
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


class Leaf(Wire):
    """A leaf connection: what nats-server does at its leaf remotes."""

    def __init__(self, host, port, account="", bind=""):
        super().__init__(host, port, bind)
        self.account = account
        self.messages = queue.Queue()  # (subject, reply, payload)
        self.interest = []             # subjects that the other side asked for
        self.error = None
        self.ended = threading.Event()

    def connect(self, **members):
        """Returns None when let in, the error else. A login that is taken is answered by a second INFO and a PING or LS+."""
        name = "tests-" + uuid.uuid4().hex[:8]
        base = {"version": "2.15.0", "id": nkeys.Key("N").public, "name": name, "headers": True, "tls_required": False,
                "remote_account": self.account, "proto": 1}
        error = self._login(base | members)
        if error is None:
            self.sock.settimeout(None)
            threading.Thread(target=self._read, daemon=True).start()
        return error

    def _line(self, line):
        verb, _, rest = line.partition(" ")
        if verb == "PING":
            self.send("PONG\r\n")
        elif verb == "LS+":
            self.interest.append(rest)
        elif verb in ("LMSG", "HMSG"):
            words = rest.split()
            sizes = 2 if verb == "HMSG" else 1
            total = int(words[-1])
            head = int(words[-2]) if sizes == 2 else 0
            payload = self.file.read(total + 2)[:-2]
            names = [w for w in words[:-sizes] if w not in ("+", "|")]
            self.messages.put((names[0], names[1] if len(names) > 1 else "", payload[head:]))
        elif verb == "-ERR":
            self.error = rest.strip("'")

    def _read(self):
        try:
            for line in iter(self.line, ""):
                self._line(line)
        except (OSError, ValueError):
            pass
        self.ended.set()

    def subscribe(self, subject):
        self.send(f"LS+ {subject}\r\n")

    def publish(self, subject, payload, reply="", headers=None):
        """Sends a message to the other side's plain subscribers and to every queue group there that asked for just this subject."""
        queues = [words[1] for words in map(str.split, self.interest) if words[0] == subject and len(words) == 3]
        to = " ".join([subject] + ([f"{'+ ' + reply if reply else '|'}", *queues] if queues else [reply] if reply else []))
        if headers is None:
            self.send(f"LMSG {to} {len(payload)}\r\n".encode() + payload + b"\r\n")
            return
        head = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
        self.send(f"HMSG {to} {len(head)} {len(head) + len(payload)}\r\n".encode() + head + payload + b"\r\n")
