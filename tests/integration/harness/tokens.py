"""Tokens: from the demo identity provider, odd ones from its test API, and forged ones that no provider would give out."""
import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import secrets


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def as_text(obj):
    return b64(json.dumps(obj, separators=(",", ":")).encode())


def claims_of(token):
    return json.loads(unb64(token.split(".")[1]))


def header_of(token):
    return json.loads(unb64(token.split(".")[0]))


class Provider:
    """The demo identity provider of a site."""

    patience = 10  # seconds for an answer

    def __init__(self, url):
        self.url = url

    def post(self, path, **form):
        data = urllib.parse.urlencode(form).encode()
        try:
            with urllib.request.urlopen(self.url + path, data, timeout=self.patience) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def token(self, client="mqtt-client", alg=None, header=None, pad=None, **claims):
        """A token signed by the provider. Claims set, or with None leave out, what the token says: exp='now-10', azp='x'."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": f"{client}-secret", "scope": "mqtt"}
        if alg:
            form["alg"] = alg
        if header:
            form["x_header"] = json.dumps(header)
        if pad:
            form["x_pad"] = pad
        for name, value in claims.items():
            form[f"x_{name}"] = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        status, body = self.post("/token", **form)
        assert status == 200, body
        return secrets.note(body["access_token"], f"a token of {client}")

    def jwks(self):
        with urllib.request.urlopen(self.url + "/jwks.json", timeout=10) as answer:
            return json.load(answer)

    def rsa_public_pem(self):
        """The published RSA key as PEM: what the classic HS256 confusion takes for a secret."""
        key = next(k for k in self.jwks()["keys"] if k["kty"] == "RSA")
        n, e = (int.from_bytes(unb64(key[part]), "big") for part in ("n", "e"))
        return rsa.RSAPublicNumbers(e, n).public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def good_claims(self, azp="mqtt-client", **more):
        now = int(time.time())
        return {"iss": self.url, "aud": "dsx-exchange", "azp": azp, "sub": "forged", "scope": "mqtt", "iat": now, "exp": now + 300, **more}

    def kid(self, kty="RSA"):
        return [k for k in self.jwks()["keys"] if k["kty"] == kty][-1]["kid"]


def forge(header, claims, sign):
    """A token whose signature is sign(signing input)."""
    head = as_text(header) + "." + as_text(claims)
    return secrets.note(head + "." + b64(sign(head.encode())), "a forged token")


def hs256(secret):
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


_stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rs256_stranger(data):
    """Signs with an RSA key that nobody published."""
    return _stranger.sign(data, padding.PKCS1v15(), hashes.SHA256())
