import json

import pytest

from dovetail.bitcoin import UnixTime
from dovetail.stores.redaction import WITHHELD, legible
from dovetail.stores.stored_event import raw_event

KEY = "A" * 43 + "="


def shown(data: bytes, *, seq: int = 1, tag: str = "Cancelled") -> str | None:
    return legible(raw_event(seq, tag, data, UnixTime(0)))


@pytest.mark.parametrize(
    "entry",
    [
        {"event": "Created", "endpoint": {"secret_key": "k"}},
        {"event": "Created", "reply_key": "k"},
        {"event": "Creatfd", "endpoint": {"secret_kez": KEY}},
        {"event": "Created", "list": [{"reply_kez": KEY}]},
        [{"reply_key": "k"}],
    ],
)
def test_a_key_is_withheld_even_if_the_damage_is_in_its_name(entry: object) -> None:
    text = shown(json.dumps(entry).encode(), seq=0, tag="Created")
    assert text is not None
    assert WITHHELD in text
    assert KEY not in text
    assert '"k"' not in text


@pytest.mark.parametrize("event", ["RetrievedOriginalPayload", "GotReplyableError"])
def test_the_senders_public_key_is_no_secret(event: str) -> None:
    text = shown(json.dumps({"event": event, "reply_key": "public"}).encode())
    assert text is not None
    assert "public" in text


@pytest.mark.parametrize(
    ("seq", "tag", "data"),
    [(0, "Cancelled", b"{"), (1, "Created", b"{"), (1, "Cancelled", b'{"secret_key":"')],
)
def test_what_cannot_be_read_and_may_hold_a_key_is_withheld(
    seq: int, tag: str, data: bytes
) -> None:
    assert shown(data, seq=seq, tag=tag) is None


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_and_holds_no_key_is_shown(data: bytes) -> None:
    assert shown(data) == data.decode(errors="backslashreplace")


def test_all_else_stays_as_it_is() -> None:
    data = b'{"v":1,"event":"Closed","outcome":{"outcome":"Expired"},"numbers":[1,null,"A="]}'
    assert shown(data) == data.decode()
