"""Webhooks are checked against their secrets, and become events."""

import json
from uuid import UUID

import pytest

from dovetail.errors import ConfigurationError, ParseError
from dovetail.merchant.client import WebhookEvent, verify_webhook
from dovetail.merchant.webhooks import signature

OLD = "whsec_" + "QUFB" * 10
NEW = "whsec_" + "QkJC" * 10
NOW = 1_700_000_000
DATA = {
    "invoice_id": str(UUID(int=1)),
    "store_id": str(UUID(int=2)),
    "sequence": 2,
    "status": "settled",
    "exception": "none",
    "cause": "confirmed",
    "amount_sats": 5_000,
    "order_id": "A-1",
    "metadata": {"a": 1},
    "paid": 5_000,
}


def _sent(*secrets: str, body: bytes | None = None) -> tuple[dict[str, str], bytes]:
    whole = {"type": "invoice.settled", "timestamp": NOW - 5, "data": DATA}
    given = json.dumps(whole).encode() if body is None else body
    signed = signature.headers(given, delivery="d-1", timestamp=NOW, secrets=secrets)
    return {name.title(): value for name, value in signed}, given


def test_a_signed_webhook_is_its_event() -> None:
    found = verify_webhook(*_sent(OLD), OLD, now=NOW)
    assert isinstance(found, WebhookEvent)
    assert (found.delivery, found.type, found.at) == ("d-1", "invoice.settled", NOW - 5)
    assert (found.invoice_id, found.status, found.sequence) == (UUID(int=1), "settled", 2)
    assert (found.order_id, found.metadata, found.data["paid"]) == ("A-1", {"a": 1}, 5_000)
    assert "A-1" not in repr(found)


@pytest.mark.parametrize("signing", [(OLD,), (NEW,), (NEW, OLD)])
def test_either_secret_of_a_rotation_is_enough(signing) -> None:
    for known in ([OLD, NEW], [NEW, OLD]):
        assert verify_webhook(*_sent(*signing), known, now=NOW).delivery == "d-1"


def test_another_secret_another_body_and_another_time_are_refused() -> None:
    headers, body = _sent(OLD)
    for given in (
        lambda: verify_webhook(headers, body, NEW, now=NOW),
        lambda: verify_webhook(headers, body + b" ", [NEW, OLD], now=NOW),
        lambda: verify_webhook(headers, body, OLD, now=NOW + 301),
        lambda: verify_webhook(headers, body, OLD),
        lambda: verify_webhook({}, body, OLD, now=NOW),
    ):
        with pytest.raises(ParseError):
            given()


@pytest.mark.parametrize("body", [b"{}", b"", b'{"type":"x","timestamp":1,"data":{}}'])
def test_a_signed_body_that_is_no_event_is_refused(body) -> None:
    with pytest.raises(ParseError, match="no event"):
        verify_webhook(*_sent(OLD, body=body), OLD, now=NOW)


def test_secrets_that_are_none_are_named() -> None:
    headers, body = _sent(OLD)
    for secrets in ([], "x", ["x", OLD]):
        with pytest.raises(ConfigurationError):
            verify_webhook(headers, body, secrets, now=NOW)
