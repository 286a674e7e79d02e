"""Signatures, by the reference library of Standard Webhooks."""

import hmac
import json
import time
from base64 import b64encode
from hashlib import sha256

import pytest
from standardwebhooks import Webhook

from dovetail.errors import ConfigurationError, ParseError
from dovetail.merchant.webhooks.signature import headers, key_of, verify

SECRET, OLD = ("whsec_" + b64encode(bytes([n]) * 32).decode() for n in (1, 2))
BODY = json.dumps({"type": "invoice.settled"}).encode()
NOW = 1_800_000_000


def _signed(*secrets: str, at: int = NOW) -> dict[str, str]:
    return dict(headers(BODY, delivery="msg_1", timestamp=at, secrets=secrets))


def test_the_reference_library_takes_our_signature() -> None:
    given = _signed(SECRET, at=int(time.time()))
    assert Webhook(SECRET).verify(BODY, given) == {"type": "invoice.settled"}


def test_both_secrets_sign_while_one_replaces_the_other() -> None:
    for secret in (SECRET, OLD):
        assert Webhook(secret).verify(BODY, _signed(SECRET, OLD, at=int(time.time())))
        assert verify(_signed(SECRET, OLD), BODY, secret, now=NOW) == "msg_1"


def test_btcpays_signature_is_on_the_same_delivery() -> None:
    expected = hmac.new(SECRET.encode(), BODY, sha256).hexdigest()
    assert _signed(SECRET)["btcpay-sig"] == f"sha256={expected}"


@pytest.mark.parametrize(
    "change", ["body", "id", "time", "secret", "stale", "none", "endless time"]
)
def test_what_was_changed_is_refused(change: str) -> None:
    given, body, secret, now = _signed(SECRET), BODY, SECRET, NOW
    match change:
        case "body":
            body = BODY + b" "
        case "id":
            given["webhook-id"] = "msg_2"
        case "time":
            given["webhook-timestamp"] = str(NOW + 1)
        case "secret":
            secret = OLD
        case "endless time":
            given["webhook-timestamp"] = "1" * 5_000
        case "stale":
            now = NOW + 301
        case _:
            given = {}
    with pytest.raises(ParseError):
        verify(given, body, secret, now=now)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_" + b64encode(b"x").decode()])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ConfigurationError):
        key_of(secret)
