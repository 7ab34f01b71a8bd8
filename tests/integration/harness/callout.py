"""nats-server's side of an auth callout: requests signed and sealed as a server does it, answers opened and verified."""
import json
import os
import queue
import time

from . import nkeys, secrets
from .tokens import as_text, b64, unb64
from .wait import PATIENCE
from .wire import Leaf

SUBJECT = "$SYS.REQ.USER.AUTH"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def token_id(n=8):
    return "".join(ALPHABET[b % len(ALPHABET)] for b in os.urandom(n))


def nats_jwt(key, claims, header=None):
    head = as_text(header or {"typ": "JWT", "alg": "ed25519-nkey"}) + "." + as_text(claims)
    return head + "." + b64(key.sign(head.encode()))


def read_nats_jwt(text):
    """The claims of a NATS JWT, signature verified with the key in iss."""
    head, payload, signature = text.split(".")
    claims = json.loads(unb64(payload))
    nkeys.verify(claims["iss"], f"{head}.{payload}".encode(), unb64(signature))
    return claims


class Answer:
    """What came back: `error` text, or `user`, the claims of the user JWT."""

    def __init__(self, response):
        self.response = response
        self.error = response["nats"].get("error")
        token = response["nats"].get("jwt")
        assert (self.error is None) != (token is None), "exactly one of jwt and error"
        self.user = read_nats_jwt(token) if token else None


class Asker:
    """A server that nobody started: it has keys, and a leaf link into AUTHX by which it asks."""

    def __init__(self, site, name="asker"):
        self.site = site
        self.name = name
        self.key = nkeys.Key("N")
        self.xkey = nkeys.Key("X")
        self.leaf = Leaf(site.address, site.ports["LEAF"], account="AUTHX")
        error = self.leaf.connect(**self.leaf.sign(site.key("mtls-authx-leaf")))
        assert error is None, f"the leaf link into AUTHX: {error!r}"
        self.inbox = f"$SYS._INBOX.{token_id()}"
        self.leaf.subscribe(self.inbox + ".>")

    def claims(self, client=None, connect=None, tls=None, *, change=None, budget=50, sealed=True):
        """The claims of a request. change(claims) may spoil them before they are signed."""
        now = int(time.time())
        server = {"name": self.name, "host": self.site.address, "id": self.key.public, "version": "2.15.2"}
        if sealed:
            server["xkey"] = self.xkey.public
        nats = {"server_id": server, "user_nkey": nkeys.Key("U").public,
                "client_info": {"host": "127.0.0.1", "id": 7, "kind": "Client", "type": "nats", **(client or {})},
                "connect_opts": {"protocol": 1, **(connect or {})}, "type": "authorization_request", "version": 2}
        if tls is not None:
            nats["client_tls"] = tls
        claims = {"aud": "nats-authorization-request", "exp": now + budget, "iat": now, "iss": self.key.public,
                  "sub": self.site.key("issuer").public, "nats": nats}
        claims["jti"] = token_id(52)
        if change:
            change(claims)
        return claims

    def put(self, payload, header_xkey=None):
        """Publishes bytes as they are; returns the reply subject."""
        reply = f"{self.inbox}.{token_id()}"
        headers = {"Nats-Server-Xkey": header_xkey} if header_xkey else None
        self.leaf.publish(SUBJECT, payload, reply, headers)
        return reply

    def reply(self, subject, timeout=PATIENCE):
        """The raw bytes that came to a reply subject."""
        end = time.monotonic() + timeout
        while True:
            got, _reply, payload = self.leaf.messages.get(timeout=max(0.01, end - time.monotonic()))
            if got == subject:
                return payload

    def silent(self, subject):
        """True where nothing was answered so far."""
        seen = []
        while True:
            try:
                seen.append(self.leaf.messages.get_nowait())
            except queue.Empty:
                break
        return all(got != subject for got, _reply, _payload in seen)

    def read(self, payload, claims, sealed):
        """Verifies an answer as nats-server does."""
        if sealed:
            assert not payload.startswith(b"eyJ"), "an answer in plain to a sealed request"
            payload = self.xkey.open(payload, self.site.key("xkey").public)
        response = read_nats_jwt(payload.decode())
        assert response["iss"] == claims["sub"], "the response is signed by another issuer"
        assert response["aud"] == self.key.public, "the response is for another server"
        assert response["sub"] == claims["nats"]["user_nkey"], "the response is for another user"
        assert response["nats"]["type"] == "authorization_response" and response["nats"]["version"] == 2
        answer = Answer(response)
        if answer.user:
            user = answer.user
            assert user["iss"] == claims["sub"] and user["sub"] == claims["nats"]["user_nkey"]
            assert user["nats"]["type"] == "user" and user["nats"]["version"] == 2
            assert [user["nats"][k] for k in ("subs", "data", "payload")] == [-1, -1, -1]
        return answer

    def send(self, claims, sealed=True):
        """Signs, seals and publishes; returns the reply subject."""
        for name in ("pass", "auth_token", "jwt"):
            value = claims["nats"].get("connect_opts", {}).get(name)
            if isinstance(value, str):
                secrets.note(value, f"a {name} in a request")
        text = nats_jwt(self.key, claims).encode()
        if not sealed:
            return self.put(text)
        return self.put(self.xkey.seal(text, self.site.key("xkey").public), self.xkey.public)

    def ask(self, client=None, connect=None, tls=None, *, change=None, sealed=True, timeout=PATIENCE):
        """A whole callout: the Answer."""
        claims = self.claims(client, connect, tls, change=change, sealed=sealed)
        return self.read(self.reply(self.send(claims, sealed), timeout), claims, sealed)

    def close(self):
        self.leaf.close()
