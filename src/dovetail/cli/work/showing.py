"""`dovetail show`: one session's story, from its log."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from dovetail.cli.exits import Exit
from dovetail.cli.keys import SHOW
from dovetail.cli.output import Screen, local_time, sats
from dovetail.cli.work import opening
from dovetail.cli.work.following import clock, session_values
from dovetail.cli.work.meanings import meaning
from dovetail.errors import ReplayError, SessionNotFound
from dovetail.runtime.actions import load
from dovetail.runtime.explain import Explanation, explain
from dovetail.stores.ports import Role, SessionId, SessionRow
from dovetail.stores.schema import session_events
from dovetail.stores.sql import SqlStore
from dovetail.stores.sqlite import reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event as a person reads it."""

    seq: int
    at: int
    tag: str
    words: str


def show(number: int, screen: Screen) -> int:
    """Show one session; see `dovetail show --help`."""
    place = opening.home()
    with opening.open_store(place) as store:
        if store is None:
            raise SessionNotFound(f"There is no session {number}: `dovetail history` lists them.")
        row = store.row(SessionId(number))
        explanation, problem = _explained(store, row, asks=place.asks)
        entries = _entries(store, row)
    if not screen.as_json:
        _print(row, explanation, entries, screen)
        if problem:
            screen.say(problem, fg="yellow")
    values = session_values(row.session_id, row.role, explanation, int(row.expires_at))
    screen.emit(SHOW, values | {"events": [_values(entry) for entry in entries]})
    return Exit.DONE


def _explained(
    store: SqlStore, row: SessionRow, *, asks: bool
) -> tuple[Explanation | None, str | None]:
    try:
        return explain(load(store, row.session_id), clock(), ask=asks), None
    except ReplayError as error:
        return None, str(error)


def _entries(store: SqlStore, row: SessionRow) -> list[Entry]:
    query = (
        select(session_events.c.seq, session_events.c.tag, session_events.c.created_at)
        .add_columns(session_events.c.data)
        .where(session_events.c.session_id == row.session_id)
        .order_by(session_events.c.seq)
    )
    with reading(store.engine) as connection:
        return [
            Entry(seq=seq, at=at, tag=tag, words=meaning(row.role, tag, data))
            for seq, tag, at, data in connection.execute(query)
        ]


def _values(entry: Entry) -> dict[str, Any]:
    return {"seq": entry.seq, "at": entry.at, "event": entry.tag, "words": entry.words}


def _print(
    row: SessionRow, explanation: Explanation | None, entries: list[Entry], screen: Screen
) -> None:
    verb = "Paying" if row.role is Role.SENDER else "Receiving"
    amount = "" if explanation is None else f" {sats(explanation.amount)}"
    lines = [f"Session {row.session_id}: {verb.lower()}{amount}", ""]
    lines += [f"  {local_time(entry.at)}  {entry.words}" for entry in entries]
    lines.append("")
    if explanation is None:
        lines.append("Now     Its log cannot be read; it is left as it is.")
    else:
        lines += _now(explanation)
    screen.result("\n".join(lines))


def _now(found: Explanation) -> list[str]:
    lines = [f"Now     {found.words}"]
    if found.reason is not None:
        lines += [f"Why     {found.reason.words}", f"        {found.reason.advice}"]
    if found.txid is not None:
        lines.append(f"Txid    {found.txid}")
    if found.outcome is None:
        lines.append(f"Expiry  {local_time(found.expires_at)}")
    lines.append(f"Next    {found.next}")
    return lines
