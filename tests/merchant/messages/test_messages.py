import json
from uuid import UUID

import msgspec
import pytest

from dovetail.merchant import messages
from dovetail.merchant.messages import (
    FieldError,
    Invoice,
    NewInvoice,
    NewStore,
    NewWebhook,
    Page,
    PayjoinOffer,
    Problem,
)

INVOICE = {
    "id": str(UUID(int=7)),
    "store_id": str(UUID(int=8)),
    "status": "new",
    "exception": "none",
    "cause": "waiting",
    "amount_sats": 50_000,
    "paid_sats": 0,
    "gained_sats": 0,
    "label": "Order 5",
    "metadata": {"cart": [1, 2]},
    "address": "bcrt1qexample",
    "payjoin": {"offered": False, "reason": "no-coin", "words": "There is no coin."},
    "created_at": 1,
    "expires_at": 2,
    "monitored_until": 3,
    "sequence": 1,
}


def read(text: object, kind: type = NewInvoice) -> object:
    return msgspec.json.decode(json.dumps(text), type=kind)


def test_a_request_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `amout_sats`"):
        read({"amout_sats": 5})


def test_an_answer_with_an_unknown_field_of_a_later_release_is_read() -> None:
    found = read(INVOICE | {"colour": "red"}, Invoice)
    assert isinstance(found, Invoice)
    assert found.payjoin == PayjoinOffer(offered=False, reason="no-coin", words="There is no coin.")


@pytest.mark.parametrize("amount", [0, -1, 2_100_000_000_000_001, "5", 1.5, True])
def test_an_amount_is_a_whole_number_of_satoshis_in_range(amount: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"amount_sats"):
        read({"amount_sats": amount})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "two\nlines"),
        ("label", "one\n"),
        ("label", "a\x00zero"),
        ("order_id", ""),
        ("order_id", "5\r\nset-cookie: a=b"),
        ("currency", "eur"),
        ("currency", "EUR\n"),
        ("price", "1e5"),
        ("price", "-1"),
        ("price", "1.5\n"),
        ("redirect_url", "javascript:alert(1)"),
        ("redirect_url", "https://shop.example/\n"),
        ("redirect_url", "org.example.till:/\n"),
        ("redirect_url", "till:/orders/7"),
        ("redirect_url", "JavaScript.x:alert(1)"),
        ("expires_in", 59),
    ],
)
def test_text_that_could_break_a_line_or_a_number_is_refused(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        read({field: value})


def test_a_customer_may_return_to_an_app_that_has_a_scheme_of_its_own() -> None:
    read({"amount_sats": 1000, "redirect_url": "org.example.till:/orders/7?from=wallet"})


def test_a_name_and_a_url_have_a_limit() -> None:
    with pytest.raises(msgspec.ValidationError, match="name"):
        read({"name": "n" * 101, "wallet_id": str(UUID(int=1))}, NewStore)
    with pytest.raises(msgspec.ValidationError, match="url"):
        read({"url": "https://" + "a" * 2000}, NewWebhook)


def test_no_repr_shows_an_address_a_uri_or_a_secret() -> None:
    uri = "bitcoin:bcrt1qexample?pj=https://example.com/secret"
    found = read(INVOICE | {"payment_uri": uri}, Invoice)
    assert repr(found) == f"<Invoice {UUID(int=7)}>"
    assert repr(NewInvoice(label="secret")) == "<NewInvoice>"
    page = Page(items=(found,), cursor="abc")
    assert "secret" not in repr(page)
    told = Problem(
        type="urn:dovetail:problem:not-found",
        title="Not found",
        status=404,
        detail="secret",
        errors=(FieldError(field="label", message="secret"),),
    )
    assert repr(told) == "<Problem 404 urn:dovetail:problem:not-found>"
    assert repr(told.errors) == "(<FieldError>,)"


def test_a_page_is_read_with_its_entries() -> None:
    found = msgspec.json.decode(
        json.dumps({"items": [INVOICE], "cursor": "abc"}), type=Page[Invoice]
    )
    assert [each.id for each in found.items] == [UUID(int=7)]
    assert found.cursor == "abc"


def test_every_message_has_a_sentence_and_a_schema() -> None:
    kinds = [getattr(messages, name) for name in vars(messages)["__all__"] if name != "Page"]
    _, schemas = msgspec.json.schema_components(kinds)
    assert {kind.__name__ for kind in kinds} <= set(schemas)
    assert all(schema.get("description") for schema in schemas.values())
