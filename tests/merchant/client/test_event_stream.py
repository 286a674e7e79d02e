"""The events of a stream, however it is cut into parts."""

import json
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovetail.merchant.client.errors import ShopProblem, ShopUnreachable
from dovetail.merchant.client.event_stream import MOST, Following
from dovetail.merchant.client.retries import Retries
from dovetail.merchant.messages import Problem


def event(sequence: int, **more: Any) -> dict[str, Any]:
    return {
        "id": str(UUID(int=sequence)),
        "invoice_id": str(UUID(int=1)),
        "store_id": str(UUID(int=2)),
        "sequence": sequence,
        "type": "invoice.created",
        "status": "new",
        "exception": "none",
        "cause": "waiting",
        "at": 1,
        "data": {},
    } | more


def text(*sequences: int, end: str = "\r\n") -> bytes:
    frames = [f"id: {n}{end}event: x{end}data: {json.dumps(event(n))}{end}{end}" for n in sequences]
    return (f": quiet{end}{end}" + "".join(frames)).encode()


def following(after: int = 0, **more: Any) -> Following:
    return Following(after, Retries(**more))


@pytest.mark.property
@given(
    cuts=st.lists(st.integers(0, 700), max_size=30),
    end=st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_events_are_the_same_however_the_stream_is_cut(cuts, end) -> None:
    whole = text(1, 2, 3, end=end) + b": more\n"
    places = sorted({0, len(whole), *(each for each in cuts if each < len(whole))})
    reader = following()
    found = [
        each.sequence for begin, stop in pairwise(places) for each in reader.take(whole[begin:stop])
    ]
    assert found == [1, 2, 3]


def test_an_event_is_told_once_and_the_number_of_the_last_one_kept() -> None:
    reader = following(after=1)
    assert [each.sequence for each in reader.take(text(1, 2))] == [2]
    reader.begin()
    assert [each.sequence for each in reader.take(text(2, 3))] == [3]
    assert reader.after == 3


def test_half_an_event_is_forgotten_when_a_new_stream_begins() -> None:
    reader = following()
    assert reader.take(b"data: {") == []
    reader.begin()
    assert [each.sequence for each in reader.take(text(1))] == [1]


def test_data_of_several_lines_is_one_event() -> None:
    lines = json.dumps(event(1), indent=1).splitlines()
    assert following().take("".join(f"data:{each}\n" for each in lines).encode() + b"\n")


def test_an_event_that_is_none_ends_the_reading() -> None:
    with pytest.raises(ShopUnreachable) as caught:
        following().take(b'data: {"sequence": 1}\n\n')
    assert not caught.value.passing


def test_an_event_without_an_end_is_not_kept() -> None:
    reader = following()
    line = b"data: " + b"x" * (MOST // 2 - 10) + b"\n"
    assert reader.take(line) == []
    assert reader.take(line) == []
    with pytest.raises(ShopUnreachable, match="too large"):
        reader.take(line)


def test_a_failure_is_raised_where_no_attempt_may_help() -> None:
    lasting = ShopUnreachable("No.", passing=False)
    with pytest.raises(ShopUnreachable):
        following().pause(lasting)
    with pytest.raises(ShopProblem):
        following().pause(ShopProblem(_problem(404)))
    with pytest.raises(ShopProblem):
        following().pause(ShopProblem(_problem(429), retry_after=3600))


def test_failures_in_a_row_are_counted_and_any_byte_begins_anew() -> None:
    reader = following(attempts=3, first_pause=0.1)
    away = ShopUnreachable("Away.")
    for _ in range(5):
        assert 0 < reader.pause(away) <= 0.1
        assert 0 < reader.pause(away) <= 0.2
        reader.take(b":\n")
    reader.pause(away)
    reader.pause(away)
    with pytest.raises(ShopUnreachable):
        reader.pause(away)


def test_a_pause_is_as_long_as_the_shop_asks() -> None:
    assert following().pause(ShopProblem(_problem(503), retry_after=7)) == 7


def _problem(status: int) -> Problem:
    return Problem(type="urn:dovetail:problem:x", title="X", status=status, detail="X.")
