"""Events as tagged JSON: what is written, what is read, what is refused."""

from typing import Any

import pytest

from dovetail.errors import ReplayError
from dovetail.sessions import sender
from dovetail.sessions.codec import EventCodec, SessionEvent


class Opened(SessionEvent, frozen=True, kw_only=True):
    """A session opened."""

    key: bytes
    note: str | None = None


class Ended(SessionEvent, frozen=True, kw_only=True):
    """A session ended."""


CODEC: EventCodec[Opened | Ended] = EventCodec(Opened | Ended)


def test_an_event_is_one_json_object_with_its_version_and_tag() -> None:
    assert CODEC.encode(Opened(key=b"key")) == b'{"v":1,"event":"Opened","key":"a2V5"}'
    assert CODEC.encode(Ended()) == b'{"v":1,"event":"Ended"}'


@pytest.mark.parametrize("event", [Opened(key=b"key"), Opened(key=b"", note="x"), Ended()])
def test_what_is_written_can_be_read(event: Opened | Ended) -> None:
    assert CODEC.decode(CODEC.encode(event)) == event


def test_the_order_of_fields_does_not_matter() -> None:
    assert CODEC.decode(b'{"key": "a2V5", "event": "Opened", "v": 1}') == Opened(key=b"key")


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"v":1,"event":"Ended"', "not a JSON object"),
        (b'{"v":1,"event":"\xff"}', "not a JSON object"),
        (b'{"v":1,"a":' + b"[" * 100_000, "not a JSON object"),
        (b'{"event":"Ended"}', "no version"),
        (b'{"v":"1","event":"Ended"}', "no version"),
        (b'{"v":true,"event":"Ended"}', "no version"),
        (b'{"v":0,"event":"Ended"}', "no version"),
        (b'{"v":2,"event":"Ended"}', "newer release"),
        (b'{"v":1,"event":"Begun"}', "kind is unknown"),
        (b'{"v":1,"event":["Ended"]}', "kind is unknown"),
        (b'{"v":1}', "kind is unknown"),
        (b'{"v":1,"event":"Ended","why":"no"}', "missing, unknown or damaged"),
        (b'{"v":1,"event":"Opened"}', "missing, unknown or damaged"),
        (b'{"v":1,"event":"Opened","key":"*"}', "missing, unknown or damaged"),
        (b'{"v":1,"event":"Opened","key":1}', "missing, unknown or damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_cause(entry: bytes, cause: str) -> None:
    with pytest.raises(ReplayError, match=cause):
        CODEC.decode(entry)


def test_an_error_never_quotes_the_entry() -> None:  # P4
    with pytest.raises(ReplayError) as caught:
        CODEC.decode(b'{"v":1,"event":"Opened","key":"c2VjcmV0!"}')
    assert "c2VjcmV0" not in str(caught.value)


def test_a_log_is_read_in_order() -> None:
    entries = [CODEC.encode(Opened(key=b"k")), CODEC.encode(Ended())]
    assert CODEC.decode_log(entries) == (Opened(key=b"k"), Ended())


def test_an_entry_that_cannot_be_read_is_named_by_its_number() -> None:
    with pytest.raises(ReplayError, match=r"Entry 1 .* newer release"):
        CODEC.decode_log([CODEC.encode(Ended()), b'{"v":9,"event":"Ended"}'])


def test_a_codec_of_one_kind_of_event_works_too() -> None:
    codec: EventCodec[Ended] = EventCodec(Ended)
    assert codec.decode(codec.encode(Ended())) == Ended()
    with pytest.raises(ReplayError, match="kind is unknown"):
        codec.decode(CODEC.encode(Opened(key=b"")))


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    fields["key"] = fields.pop("secret")
    return fields


def _retagged(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"event": "Opened"}


LATER: EventCodec[Opened | Ended] = EventCodec(
    Opened | Ended, version=3, upcasters={1: _renamed, 2: _retagged}
)


def test_an_old_entry_is_lifted_step_by_step() -> None:
    assert LATER.decode(b'{"v":1,"event":"Begun","secret":"a2V5"}') == Opened(key=b"key")
    assert LATER.decode(b'{"v":2,"event":"Begun","key":"a2V5"}') == Opened(key=b"key")


def test_a_new_entry_has_the_new_version() -> None:
    assert LATER.encode(Ended()) == b'{"v":3,"event":"Ended"}'
    assert LATER.decode(b'{"v":3,"event":"Ended"}') == Ended()


def test_a_damaged_old_entry_is_refused() -> None:
    with pytest.raises(ReplayError, match="damaged"):
        LATER.decode(b'{"v":1,"event":"Begun"}')


def test_no_event_shows_its_values() -> None:  # P4
    assert repr(Opened(key=b"secret")) == str(Opened(key=b"secret")) == "<Opened>"


# version 2 of the sender's events tells a dropped spend from a request


def test_version_1_of_a_request_that_nobody_decided_is_a_dropped_spend() -> None:
    decode = sender.decode_event
    assert decode(b'{"v":1,"event":"FallbackRequested"}') == sender.events.SpendDropped()
    undecided = b'{"v":1,"event":"FallbackRequested","decided":false}'
    assert decode(undecided) == sender.events.SpendDropped()
    decided = b'{"v":1,"event":"FallbackRequested","decided":true}'
    assert decode(decided) == sender.events.FallbackRequested()


@pytest.mark.parametrize(
    "entry",
    [
        b'{"v":1,"event":"FallbackRequested","decided":1}',
        b'{"v":1,"event":"FallbackRequested","decided":null}',
        b'{"v":1,"event":"FallbackRequested","other":true}',
        b'{"v":2,"event":"FallbackRequested","decided":true}',
    ],
)
def test_an_odd_request_is_damage(entry: bytes) -> None:
    with pytest.raises(ReplayError, match="damaged"):
        sender.decode_event(entry)


def test_an_entry_keeps_the_tag_under_which_it_was_written() -> None:
    entry = b'{"v":1,"event":"FallbackRequested"}'
    codec = sender.events.CODEC
    assert codec.tag_of(entry, codec.decode(entry)) == "FallbackRequested"
    again = codec.encode(codec.decode(entry))
    assert codec.tag_of(again, codec.decode(again)) == "SpendDropped"
