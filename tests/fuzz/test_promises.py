"""The targets notice: each promise about money is broken on purpose, and the input says so."""

import pytest
from tests.fuzz.registry import TARGETS
from tests.fuzz.target import BrokenPromise

from dovetail.bitcoin.psbt import psbt
from dovetail.protocol import proposal
from dovetail.protocol.draft import Draft
from dovetail.sessions.receiver import proposing


def change_of(at: int, amount: int) -> bytes:
    """An output of the proposal that is worth more or less."""
    return bytes((0, at)) + amount.to_bytes(2, signed=True)


THEFTS = {
    "more than offered": (b"\0\1" + change_of(1, -900), "nobody takes more than was offered"),
    "without a need": (
        b"\0\1" + b"\2\1\0" + (200).to_bytes(2),
        "what is taken is spent on the fee",
    ),
    "from somebody else": (b"\3\1" + change_of(2, -500), "who else is paid gets it all"),
    "from the payee": (b"\1\1" + change_of(0, -32_000), "the payee gets it all"),
    "a lower fee": (b"\0\1" + change_of(0, 1_000), "the fee never falls"),
    "another sequence": (b"\0\1\x0a\3\0", "sequences stay"),
    "another version": (b"\0\1\x0b\1\0\0\0\0", "version and lock time stay"),
}


@pytest.mark.parametrize("name", THEFTS)
def test_a_theft_that_the_checklist_refuses_breaks_nothing(name):
    TARGETS["sender-proposal"].run(THEFTS[name][0])


@pytest.mark.parametrize("name", THEFTS)
def test_a_theft_is_noticed_where_the_checklist_sleeps(name, monkeypatch):
    def sleep(rule: str, *, holds: bool) -> None:
        pass

    monkeypatch.setattr(proposal, "_require", sleep)
    data, promise = THEFTS[name]
    with pytest.raises(BrokenPromise, match=promise):
        TARGETS["sender-proposal"].run(data)


def test_a_receiver_who_would_lose_is_noticed(monkeypatch):
    def squander(draft: Draft, **_rates: object) -> Draft:
        return draft.with_value(draft.drain, draft.outputs[draft.drain].value - 30_000)

    monkeypatch.setattr(proposing, "apply_fees", squander)
    with pytest.raises(BrokenPromise, match="a payjoin pays no less"):
        TARGETS["receiver-original"].run(b"\1\0")


def test_a_field_that_is_lost_in_writing_is_noticed(monkeypatch):
    def lossy(parts: list[bytes], entries: object) -> None:
        parts.append(b"\0")

    seed = next(iter(TARGETS["psbt"].seeds()))
    TARGETS["psbt"].run(seed)
    monkeypatch.setattr(psbt, "write_map", lossy)
    with pytest.raises(BrokenPromise, match="written as it was read"):
        TARGETS["psbt"].run(seed)


def test_an_error_of_another_kind_escapes(monkeypatch):
    def stumble(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr(psbt, "read_map", stumble)
    with pytest.raises(IndexError):
        TARGETS["psbt"].run(next(iter(TARGETS["psbt"].seeds())))
