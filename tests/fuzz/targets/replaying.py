"""Logs: any entries are a session that can go on, or are refused by name."""

import io
import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, cast

import msgspec
from tests.eventlogs.logs import NAMES, entries
from tests.fuzz.choices import Choices
from tests.fuzz.target import Target, parsed, require
from tests.stores.kept_logs import keep

from dovetail.errors import DovetailError, ParseError, ReplayError, UsageError
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver.events import checksum_of as payload_checksum
from dovetail.stores.integrity import load_session
from dovetail.stores.memory import MemoryStore
from dovetail.stores.stored_event import checksum_of
from dovetail.stores.transfer import every_session, export_sessions, import_sessions

Event = receiver.ReceiverEvent | sender.SenderEvent
WORDS = (
    b'"v":1',
    b'"v":2',
    b'"event":"',
    b"9223372036854775808",
    b"18446744073709551616",
    b"-1",
    b"1e400",
    b"null",
    b"\\ud800",
    b"[[",
)


@cache
def pool(role: str) -> tuple[Event, ...]:
    """Every event that stands in a log of this role, once."""
    decode = cast("Callable[[bytes], Event]", _decoder(role))
    lines = (line for name in NAMES if name.startswith(role) for line in entries(name))
    return tuple(map(decode, dict.fromkeys(lines)))


def _decoder(role: str) -> Any:
    return receiver.decode_event if role == "receiver" else sender.decode_event


def _log(role: str, data: bytes) -> None:
    """A log as lines, or as events of true logs in any order with any of their fields changed."""
    module: Any = receiver if role == "receiver" else sender
    choices = Choices(data)
    events: list[Any]
    if choices.below(2):
        lines = choices.rest().splitlines()
        read = [parsed(module.decode_event, line, error=ReplayError) for line in lines]
        events = [_resealed(each) for each in read if each is not None]
    else:
        events = _composed(module, choices, pool(role))
    for event in events:
        again = module.decode_event(module.encode_event(event))
        require(again == event, "an event reads as it was written")
    session = parsed(module.replay, events, error=ReplayError)
    if session is None:
        return
    require(session.seq == len(events), "a state counts its events")
    require(module.replay(events) == session, "a log leads to one state")
    repr(session)
    over = isinstance(session, module.Closed)
    for name in dir(type(session)):
        if name.startswith("_") or not isinstance(getattr(type(session), name), property):
            continue
        try:
            getattr(session, name)
        except UsageError:
            pass  # this state answers elsewhere, and says so
        except DovetailError:
            require(over, "replay reads what a live session will use")


def _composed(module: Any, choices: Choices, events: tuple[Event, ...]) -> list[Any]:
    composed: list[Any] = []
    while choices.more and len(composed) < 24:
        event = events[choices.number(2) % len(events)]
        changes = choices.below(4)
        if changes == 3:
            fields = json.loads(module.encode_event(event))
            _change(fields, choices)
            changed = json.dumps(fields).encode()
            made = parsed(module.decode_event, changed, error=ReplayError)
            if made is None:
                continue
            event = _resealed(made)
        composed.append(event)
    return composed


VALUES: tuple[Any, ...] = (
    None,
    0,
    1,
    -1,
    2**53,
    2**63,
    2**64 - 1,
    "",
    "a",
    "00",
    [],
    [0],
    {},
    True,
)


def _change(fields: dict[str, Any], choices: Choices) -> None:
    """One field of an entry, or of an object in it, to another value or to a neighbour's."""
    name = choices.one_of(sorted(fields))
    value = fields[name]
    match choices.below(6):
        case 0:
            fields[name] = choices.one_of(VALUES)
        case 1:
            del fields[name]
        case 2 if isinstance(value, int):
            fields[name] = value + choices.signed(2)
        case 3 if isinstance(value, dict) and value:
            _change(value, choices)
        case 4 if isinstance(value, str) and value:
            at = choices.number(2) % len(value)
            fields[name] = value[:at] + choices.take(1).decode("latin-1") + value[at + 1 :]
        case 5 if isinstance(value, list) and value:
            del value[choices.below(len(value))]
        case _:
            fields[name] = fields[choices.one_of(sorted(fields))]


def _resealed(event: Any) -> Any:
    """The event with a checksum that fits, as whoever meddles with a log would write it."""
    payload = getattr(event, "psbt", getattr(event, "address", None))
    if not hasattr(event, "checksum") or payload is None:
        return event
    raw = payload.encode() if isinstance(payload, str) else payload
    return msgspec.structs.replace(event, checksum=payload_checksum(raw))


def _logs(role: str) -> Iterable[bytes]:
    events = pool(role)
    decode = _decoder(role)
    for name in NAMES:
        if name.startswith(role):
            places = [events.index(decode(line)) for line in entries(name)]
            yield b"\0" + b"".join(place.to_bytes(2) + b"\0" for place in places)
    shortest = min((n for n in NAMES if n.startswith(role)), key=lambda n: len(entries(n)))
    yield b"\1" + b"\n".join(entries(shortest))


def event(data: bytes) -> None:
    for module in (receiver, sender):
        role: Any = module
        found = parsed(role.decode_event, data, error=ReplayError)
        if found is not None:
            written = role.encode_event(found)
            require(role.decode_event(written) == found, "an event reads as it was written")
            repr(found)


def _short_entries() -> Iterable[bytes]:
    for name in NAMES:
        for entry in entries(name):
            if len(entry) < 600:
                yield entry


def transfer(data: bytes) -> None:
    """A file of sessions that `import` is given."""
    choices = Choices(data)
    text = choices.rest() if choices.below(2) else _changed_export(choices)
    here = MemoryStore()
    try:
        for each in import_sessions(here, io.BytesIO(text)):
            refused = isinstance(each.result, DovetailError)
            require(not refused or str(each.result) != "", "a refusal says why")
    except (ParseError, UsageError):
        pass
    for session_id in every_session(here):
        row = here.row(session_id)
        require(load_session(here, session_id).seq == row.next_seq, "what came in can go on")


def _changed_export(choices: Choices) -> bytes:
    lines = [json.loads(line) for line in export(choices.one_of(NAMES)).splitlines()]
    while choices.more:
        line = choices.one_of(lines)
        entries_in = line.get("entries")
        if choices.below(2) and isinstance(entries_in, list) and entries_in:
            entry = choices.one_of(entries_in)
            if not isinstance(entry, dict) or not entry:
                continue
            _change(entry, choices)
            if isinstance(entry.get("text"), str) and isinstance(entry.get("seq"), int):
                raw = entry["text"].encode("utf-8", "surrogatepass")
                entry["checksum"] = checksum_of(entry["seq"] % 2**32, raw)
        elif line:
            _change(line, choices)
    return b"\n".join(json.dumps(line).encode() for line in lines)


@cache
def export(name: str) -> bytes:
    there = MemoryStore()
    keep(there, name)
    return b"".join(export_sessions(there, every_session(there), secrets=True))


def _exports() -> Iterable[bytes]:
    for at in range(len(NAMES)):
        yield b"\0" + bytes((at,))
    yield b"\1" + min(map(export, NAMES), key=len)


TARGETS = (
    Target("event", event, _short_entries, WORDS, 1024),
    Target("receiver-log", lambda data: _log("receiver", data), lambda: _logs("receiver"), WORDS),
    Target("sender-log", lambda data: _log("sender", data), lambda: _logs("sender"), WORDS),
    Target("transfer", transfer, _exports, (*WORDS, b'"dovetail_sessions":', b'"entries":[')),
)
