"""Kept logs are for ever: nobody writes them anew, and nothing is missing in them."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from tests.eventlogs.logs import KEPT, NAMES, NEWEST, entries

from dovetail.errors import InvalidEvent
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.receiver.events import Channel, CommittedCoin, Mailbox, Web

PINNED = {
    f"{sums.parent.name}/{name}": digest
    for sums in KEPT.glob("v*/SHA256SUMS")
    for digest, name in map(str.split, sums.read_text().splitlines())
}
EVENTS = {"receiver": get_args(receiver.ReceiverEvent), "sender": get_args(sender.SenderEvent)}
PARTS = (CommittedCoin, Mailbox, Web, outcomes.InputSignature, *get_args(outcomes.Outcome))


def names(state: object) -> str | None:
    return None if state is None else type(state).__name__


def steps(name: str) -> Iterator[tuple[str | None, str, str | None]]:
    """Each move of a log: the state, the event, the next state."""
    role = receiver if name.startswith("receiver/") else sender
    before: str | None = None
    log: list[Any] = [role.decode_event(entry) for entry in entries(name)]
    for count, event in enumerate(log, start=1):
        after = names(role.replay(log[:count]))
        yield before, type(event).__name__, after
        before = after


def objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects(each)


@pytest.mark.parametrize("name", PINNED)
def test_the_bytes_of_a_log_never_change(name: str) -> None:
    """A failure here means that users' logs on disk no longer read: write an upcaster instead."""
    assert hashlib.sha256((KEPT / name).read_bytes()).hexdigest() == PINNED[name]


def test_no_log_is_taken_away() -> None:
    kept = {path.relative_to(KEPT).as_posix() for path in KEPT.glob("v*/*/*.jsonl")}
    assert kept == PINNED.keys()
    assert len(NAMES) == 132
    assert len(kept) == 169


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sender")])
def test_a_log_of_the_sender_means_the_same_in_both_versions(name: str) -> None:
    old, new = ([*map(sender.decode_event, entries(name, version=each))] for each in (1, 2))
    assert old == new
    assert sender.replay(old) == sender.replay(new)


@pytest.mark.parametrize(("role", "module"), [("receiver", receiver), ("sender", sender)])
def test_every_path_of_the_table_is_in_a_log(role: str, module: Any) -> None:
    gone = {step for name in NAMES if name.startswith(role) for step in steps(name)}
    table = {
        (None if before is None else before.__name__, event.__name__, after.__name__)
        for before, event, after in module.TRANSITIONS
    }
    assert gone == table


def written(role: str, kind: type) -> list[set[str]]:
    """The fields of each entry of this kind."""
    names = [name for name in NAMES if name.startswith(role)]
    found = [json.loads(each) for name in names for each in entries(name, version=NEWEST[role])]
    return [fields.keys() - {"v", "event"} for fields in found if fields["event"] == kind.__name__]


@pytest.mark.parametrize("role", EVENTS)
def test_every_field_of_every_event_is_in_a_log(role: str) -> None:
    """So that none can be renamed, retyped or taken away unnoticed."""
    for event in EVENTS[role]:
        fields = msgspec.structs.fields(event)
        assert set().union(*written(role, event)) == {field.encode_name for field in fields}


@pytest.mark.parametrize("role", EVENTS)
def test_a_field_that_some_entry_lacks_is_optional(role: str) -> None:
    for event in EVENTS[role]:
        required = {f.encode_name for f in msgspec.structs.fields(event) if f.required}
        assert all(required <= fields for fields in written(role, event)), event.__name__


def test_every_part_of_an_event_is_in_a_log() -> None:
    found = [
        fields for name in NAMES for entry in entries(name) for fields in objects(json.loads(entry))
    ]
    for part in PARTS:
        wanted = set(part.__struct_encode_fields__)
        assert any(wanted <= fields.keys() for fields in found), part.__name__
    values = {value for fields in found for value in fields.values() if isinstance(value, str)}
    assert values >= {kind.__name__ for kind in get_args(outcomes.Outcome)}
    assert values >= {"mailbox", "web", Channel.V1_DIRECTORY, Channel.V1_HTTP}


def test_the_first_event_cannot_come_twice() -> None:
    log = [sender.decode_event(entry) for entry in entries("sender/success")]
    with pytest.raises(InvalidEvent):
        sender.apply(sender.replay(log[:1]), log[0])
