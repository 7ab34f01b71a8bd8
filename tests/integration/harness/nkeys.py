"""NKeys and xkeys: Ed25519 and X25519 keys in the text forms of NATS."""
import base64
import os

import nacl.bindings
from nacl.signing import SigningKey, VerifyKey

KINDS = {"N": 13 << 3, "C": 2 << 3, "O": 14 << 3, "A": 0, "U": 20 << 3, "X": 23 << 3}
SEED = 18 << 3


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def to_text(data):
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).decode().rstrip("=")


def from_text(text):
    data = base64.b32decode(text + "=" * (-len(text) % 8))
    assert crc16(data[:-2]) == int.from_bytes(data[-2:], "little"), "checksum of an nkey"
    return data[:-2]


def public_raw(text):
    return from_text(text)[1:]


class Key:
    """A key pair of one kind: N U A O C sign, X seals."""

    def __init__(self, kind, raw=None):
        self.kind = kind
        self.raw = raw or os.urandom(32)
        if kind == "X":
            self.public_raw = nacl.bindings.crypto_scalarmult_base(self.raw)
        else:
            self._signing = SigningKey(self.raw)
            self.public_raw = bytes(self._signing.verify_key)
        self.public = to_text(bytes([KINDS[kind]]) + self.public_raw)

    @property
    def seed(self):
        kind = KINDS[self.kind]
        return to_text(bytes([SEED | kind >> 5, (kind & 31) << 3]) + self.raw)

    @classmethod
    def from_seed(cls, seed):
        data = from_text(seed)
        kind = (data[0] & 7) << 5 | data[1] >> 3
        return cls({v: k for k, v in KINDS.items()}[kind], data[2:])

    def sign(self, data):
        return self._signing.sign(data).signature

    def seal(self, data, to_public):
        nonce = os.urandom(24)
        return b"xkv1" + nonce + nacl.bindings.crypto_box(data, nonce, public_raw(to_public), self.raw)

    def open(self, data, from_public):
        assert data[:4] == b"xkv1", "not sealed"
        return nacl.bindings.crypto_box_open(data[28:], data[4:28], public_raw(from_public), self.raw)


def verify(public, data, signature):
    """Raises where the signature does not fit."""
    VerifyKey(public_raw(public)).verify(data, signature)
