"""`dovetail show`: one session's story, from its log."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovetail.actions import Action
from dovetail.cli import context, open_parts, qr, qr_output
from dovetail.cli.actions import error_words
from dovetail.cli.clock import clock
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.handlers.history import listed_values
from dovetail.cli.handlers.show_details import Details, Line, detail_values, details_of, lines
from dovetail.cli.json_keys import SHOW
from dovetail.cli.live.follow import Seen
from dovetail.cli.output import Screen, local_time, sats
from dovetail.cli.service import next_words
from dovetail.cli.time_left import time_left
from dovetail.errors import ReplayError, SessionNotFound, UsageError
from dovetail.explain.chain import describe_sighting
from dovetail.explain.event import meaning
from dovetail.explain.explanation import Explanation
from dovetail.explain.session import explain_stored
from dovetail.explain.text import RECEIVER_CAN_TAKE, RESTORE, UNREADABLE
from dovetail.explain.wire_sizes import Exchanged, exchanged
from dovetail.sessions.status import SessionStatus
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import Role, SessionId, SessionRow, Store, StoredLog
from dovetail.stores.redaction import legible

_WIDTH = 15
"""Of a heading, with the blanks behind it."""
_STILL = {Role.SENDER: "Still to pay", Role.RECEIVER: "Still to come"}
_CONFIRMING = "Confirming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event as a person reads it."""

    seq: int
    at: int
    tag: str
    words: str
    exchanged: Exchanged | None
    text: str | None
    """As it is stored, without its keys; None where it may hold one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A session with its explanation; `problem` says why its log cannot be read."""

    log: StoredLog
    running: bool
    """Whether `dovetail run` works on it."""
    explanation: Explanation | None = None
    details: Details | None = None
    problem: str | None = None

    @property
    def row(self) -> SessionRow:
        """Its row."""
        return self.log.row


def show(screen: Screen, number: int, *, raw: bool, draw: bool, qr_file: Path | None) -> int:
    """Show one session; see `dovetail show --help`."""
    if qr_file is not None:
        qr.require_format(qr_file)
    place = context.home()
    with open_parts.open_store(place) as store:
        if store is None:
            raise SessionNotFound(f"There is no session {number}.", actions=(Action.LIST,))
        shown = _shown(store, SessionId(number), place)
    uri = _uri(shown) if draw or qr_file else None
    entries = _entries(shown.log)
    if raw and not screen.as_json:
        _print_raw(shown.row, entries, screen)
    elif not screen.as_json:
        _print(shown, entries, screen)
    if shown.problem and not screen.as_json:
        screen.say(shown.problem, fg="yellow")
    told = {"problem": shown.problem, "events": [_values(each, raw=raw) for each in entries]}
    screen.emit(SHOW, _told_values(shown) | told)
    if uri is not None and qr_file is not None:
        qr_output.write(uri, qr_file, screen)
    elif uri is not None:
        qr_output.draw(uri, screen, words="Have the sender scan this.")
    return Exit.DONE


def _shown(store: Store, session_id: SessionId, place: Home) -> Shown:
    log = store.stored(session_id)
    try:
        state = load_session(store, session_id)
        found = explain_stored(state, log.row, clock(), ask=place.asks)
    except ReplayError as error:
        return Shown(log=log, running=place.running, problem=error_words(error, session_id))
    return Shown(
        log=log, running=place.running, explanation=found, details=details_of(state, found)
    )


def _told_values(shown: Shown) -> dict[str, Any]:
    row, found = shown.row, shown.explanation
    values = listed_values(row, found, running=shown.running)
    return values | detail_values(row, found, shown.details)


def _uri(shown: Shown) -> str:
    """Return the Payjoin URI; raises `UsageError` if it can no longer be paid."""
    number, details = shown.row.session_id, shown.details
    if details is not None and details.uri is not None:
        return details.uri
    if shown.row.role is Role.SENDER:
        raise UsageError(f"Session {number} pays: only a session that receives has a QR code.")
    raise UsageError(
        f"Nobody can pay by the Payjoin URI of session {number} any more: make a new one with"
        " `dovetail receive`."
    )


def _entries(log: StoredLog) -> list[Entry]:
    sizes = exchanged(log)
    return [
        Entry(
            seq=event.seq,
            at=event.created_at,
            tag=event.tag,
            words=meaning(log.row.role, event.tag, event.data),
            exchanged=sizes.get(event.seq),
            text=legible(event),
        )
        for event in log.events
    ]


def _values(entry: Entry, *, raw: bool) -> dict[str, Any]:
    values = {
        "seq": entry.seq,
        "at": entry.at,
        "event": entry.tag,
        "words": entry.words,
        "exchanged": None if entry.exchanged is None else entry.exchanged.values,
    }
    return values | {"entry": entry.text} if raw else values


def _print_raw(row: SessionRow, entries: list[Entry], screen: Screen) -> None:
    for entry in entries:
        shown = f"withheld; `dovetail export {row.session_id} --with-secrets` has it"
        text = f"({shown})" if entry.text is None else entry.text
        screen.result(f"{entry.seq:>3}  {local_time(entry.at)}  {entry.tag}  {text}")


def _print(shown: Shown, entries: list[Entry], screen: Screen) -> None:
    row, found = shown.row, shown.explanation
    verb = "paying" if row.role is Role.SENDER else "receiving"
    amount = "" if found is None else f" {sats(found.amount)}"
    blocks = (
        [f"Session {row.session_id}: {verb}{amount}"],
        _aligned(lines(row, found, shown.details)),
        [f"  {local_time(entry.at)}  {_told(entry)}" for entry in entries],
        _aligned(_damaged(row) if found is None else _now(found, row, running=shown.running)),
    )
    screen.result("\n\n".join("\n".join(block) for block in blocks))


def _aligned(told: list[Line]) -> list[str]:
    """Each heading, and what stands behind it."""
    return [f"{heading:<{_WIDTH}}{text}" for heading, text in told]


def _told(entry: Entry) -> str:
    sizes = "" if entry.exchanged is None else f" ({entry.exchanged.words})"
    return f"{entry.words}{sizes}"


def _damaged(row: SessionRow) -> list[Line]:
    return [
        ("Now", UNREADABLE),
        (_STILL[row.role], "Not known until it can be read: look for the payment in your wallet."),
        ("Next", RESTORE),
        ("", f"`dovetail export {row.session_id} --with-secrets` saves it as it is."),
    ]


def _now(found: Explanation, row: SessionRow, *, running: bool) -> list[Line]:
    seen = Seen.in_row(row)
    told: list[Line] = [("Now", found.words)]
    if seen is not None:
        first = f"First seen so at {local_time(seen.at)}."
        told.append(("Seen", f"{describe_sighting(seen.sighting)} {first}"))
        if str(seen.sighting.txid) != found.txid:
            told.append(("", f"{seen.sighting.txid} {seen.rate_words}".rstrip()))
    if found.reason is not None and found.tells_reason:
        told += [("Why", found.reason_words or ""), ("", found.reason.advice)]
    if found.surplus is not None and found.outcome is not None:
        told.append(("Paid twice", found.surplus.words))
    if found.deadline is not None:
        told.append(("Time left", f"{time_left(found)}, at {local_time(found.deadline.at)}"))
    if found.outcome is None:
        confirms = found.status is SessionStatus.CONFIRMING
        told.append((_CONFIRMING if confirms else _STILL[row.role], found.owed))
    if found.receiver_can_take:
        told.append(("Note", RECEIVER_CAN_TAKE))
    told.append(("Next", next_words(row.session_id, found, running=running)))
    return told
