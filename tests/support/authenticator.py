"""A device that keeps passkeys, and the browser around it: both do what they are told, or lie."""

import json
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
USED = PRESENT | VERIFIED


@dataclass
class Authenticator:
    """One device with one key; `origin` is the page that the browser shows."""

    origin: str = "https://shop.example"
    rp_id: str | None = None
    """What it signs for; None: what the page has asked for."""
    flags: int = USED
    count: int = 0
    """What it has counted; it counts on unless `step` is 0."""
    step: int = 1
    cross_origin: bool = False
    challenge: str | None = None
    """What the browser says was asked; None: the truth."""
    handle: bytes | None = None
    """The user that it names; None: the one that it was made for."""
    credential_id: bytes = field(default_factory=lambda: token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: str) -> str:
        """The answer to the options of a new passkey."""
        asked = json.loads(options)
        self.handle = self.handle or decoded(asked["user"]["id"])
        attested = (
            bytes(16)
            + struct.pack(">H", len(self.credential_id))
            + self.credential_id
            + self.public_key
        )
        data = self._data(asked["rp"]["id"], ATTESTED) + attested
        told = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked)
        return self._answer(clientDataJSON=client, attestationObject=told)

    def sign(self, options: str) -> str:
        """The answer to the options of a sign-in."""
        asked = json.loads(options)
        self.count += self.step
        data, client = self._data(asked["rpId"]), self._client("webauthn.get", asked)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            clientDataJSON=client,
            authenticatorData=data,
            signature=signature,
            userHandle=self.handle or b"",
        )

    @property
    def public_key(self) -> bytes:
        """In COSE's form: ES256 on P-256."""
        point = self.key.public_key().public_numbers()
        x, y = (each.to_bytes(32, "big") for each in (point.x, point.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        hashed = sha256((self.rp_id or rp_id).encode()).digest()
        return hashed + struct.pack(">BI", self.flags | more, self.count)

    def _client(self, kind: str, asked: dict[str, Any]) -> bytes:
        told = {
            "type": kind,
            "challenge": self.challenge or asked["challenge"],
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        }
        return json.dumps(told).encode()

    def _answer(self, **response: bytes) -> str:
        return json.dumps(
            {
                "id": encoded(self.credential_id),
                "rawId": encoded(self.credential_id),
                "type": "public-key",
                "response": {name: encoded(each) for name, each in response.items() if each},
                "clientExtensionResults": {},
            }
        )


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
