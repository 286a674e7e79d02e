"""The signatures of a delivery (Standard Webhooks, version 1; BTCPay Server's webhooks)."""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from dovetail.errors import ConfigurationError, ParseError

PREFIX = "whsec_"
TOLERANCE = 300
"""Seconds by which the clocks of sender and receiver may differ."""


def key_of(secret: str) -> bytes:
    """Return the key of a `whsec_` secret; raises `ConfigurationError`."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError("A webhook's secret is `whsec_` and base64; correct it.") from None
    if not 24 <= len(key) <= 64:
        raise ConfigurationError("A webhook's secret has 24 to 64 bytes; make another one.")
    return key


def headers(
    body: bytes, *, delivery: str, timestamp: int, secrets: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the headers that sign a body; several secrets sign while one replaces another.

    `BTCPay-Sig` is signed by the newest alone, as it holds one signature.
    """
    signed = f"{delivery}.{timestamp}.".encode() + body
    signatures = " ".join(f"v1,{_standard(key_of(secret), signed)}" for secret in secrets)
    return [
        ("webhook-id", delivery),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", signatures),
        *btcpay_headers(body, secrets[0]),
    ]


def btcpay_headers(body: bytes, secret: str) -> list[tuple[str, str]]:
    """Return BTCPay Server's header, whose key is the secret as it is written."""
    return [("btcpay-sig", f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}")]


def verify(given: Mapping[str, str], body: bytes, secret: str, *, now: int) -> str:
    """Return the delivery's id if its signature is right and fresh; raises `ParseError`.

    Keep the ids that were handled: a delivery may come twice, with the same id.
    """
    found = {name.lower(): value for name, value in given.items()}
    delivery, timestamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not delivery or not re.fullmatch("[0-9]{1,12}", timestamp):
        raise ParseError("The webhook has no id or no time: it is not from this shop.")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise ParseError("The webhook is too old, or a clock is wrong: refuse it.")
    expected = _standard(key_of(secret), f"{delivery}.{timestamp}.".encode() + body)
    for each in found.get("webhook-signature", "").split():
        version, _, signature = each.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), expected.encode()):
            return delivery
    raise ParseError("The webhook's signature is wrong: refuse it.")


def _standard(key: bytes, signed: bytes) -> str:
    return b64encode(hmac.new(key, signed, sha256).digest()).decode()
