"""`dovetail show`: one session's story, from its log."""

from dataclasses import dataclass
from typing import Any

from dovetail.cli.exits import Exit
from dovetail.cli.keys import SHOW
from dovetail.cli.output import Screen, local_time, sats
from dovetail.cli.work import homes, opening
from dovetail.cli.work.amounts import amount_words
from dovetail.cli.work.exchanges import Exchanged, exchanged
from dovetail.cli.work.following import (
    RESTORE,
    TAKABLE,
    UNREADABLE,
    Seen,
    explained,
    reason_words,
    session_values,
    time_left,
)
from dovetail.cli.work.meanings import meaning
from dovetail.cli.work.service import with_next
from dovetail.errors import ReplayError, SessionNotFound
from dovetail.runtime.explanation import Explanation
from dovetail.runtime.watching import sighted
from dovetail.stores.ports import Role, SessionId, SessionRow, Store, StoredLog
from dovetail.stores.redaction import legible


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


def show(number: int, screen: Screen, *, raw: bool) -> int:
    """Show one session; see `dovetail show --help`."""
    place = homes.home()
    with opening.open_store(place) as store:
        if store is None:
            raise SessionNotFound(f"There is no session {number}: `dovetail history` lists them.")
        log = store.stored(SessionId(number))
        row = log.row
        explanation, problem = _explained(store, row, asks=place.asks, running=place.running)
        entries = _entries(log)
    if raw and not screen.as_json:
        _print_raw(row, entries, screen)
    elif not screen.as_json:
        _print(row, explanation, entries, screen)
    if problem and not screen.as_json:
        screen.say(problem, fg="yellow")
    seen = Seen.in_row(row)
    values = session_values(row.session_id, row.role, explanation, int(row.expires_at), seen)
    told = {"problem": problem, "events": [_values(entry, raw=raw) for entry in entries]}
    screen.emit(SHOW, values | told)
    return Exit.DONE


def _explained(
    store: Store, row: SessionRow, *, asks: bool, running: bool
) -> tuple[Explanation | None, str | None]:
    try:
        found = explained(store, row, asks=asks)
        return with_next(row.session_id, found, running=running), None
    except ReplayError as error:
        return None, str(error)


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


def _print(
    row: SessionRow, explanation: Explanation | None, entries: list[Entry], screen: Screen
) -> None:
    verb = "Paying" if row.role is Role.SENDER else "Receiving"
    amount = "" if explanation is None else f" {sats(explanation.amount)}"
    lines = [f"Session {row.session_id}: {verb.lower()}{amount}", ""]
    lines += [f"  {local_time(entry.at)}  {_told(entry)}" for entry in entries]
    lines.append("")
    if explanation is None:
        lines += [
            f"Now     {UNREADABLE}",
            "Owed    Not known until it can be read: look for the payment in your wallet.",
            f"Next    {RESTORE}",
            f"        `dovetail export {row.session_id} --with-secrets` saves it as it is.",
        ]
    else:
        lines += _now(explanation, Seen.in_row(row))
    screen.result("\n".join(lines))


def _told(entry: Entry) -> str:
    sizes = "" if entry.exchanged is None else f" ({entry.exchanged.words})"
    return f"{entry.words}{sizes}"


def _now(found: Explanation, seen: Seen | None) -> list[str]:
    lines = [f"Now     {found.words}"]
    if seen is not None:
        lines.append(f"Seen    {sighted(seen.sighting)} It was first so at {local_time(seen.at)}.")
        if str(seen.sighting.txid) != found.txid:
            lines.append(f"        {seen.sighting.txid} {seen.rate_words}".rstrip())
    if found.reason is not None:
        lines += [f"Why     {reason_words(found)}", f"        {found.reason.advice}"]
    if found.txid is not None:
        lines.append(f"Txid    {found.txid}")
    if found.amounts is not None and (found.paid or found.outcome is None):
        lines.append(f"Amount  {amount_words(found.amounts)}")
    if found.surplus is not None and found.outcome is not None:
        lines.append(f"Twice   {found.surplus.words}")
    if found.outcome is None:
        lines.append(f"Expiry  {local_time(found.expires_at)}")
    if found.deadline is not None:
        lines.append(f"Left    {time_left(found)}, at {local_time(found.deadline.at)}")
    lines.append(f"Owed    {found.owed}")
    if found.takable:
        lines.append(f"Note    {TAKABLE}")
    lines.append(f"Next    {found.next}")
    return lines
