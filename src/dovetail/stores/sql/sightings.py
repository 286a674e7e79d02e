"""The latest chain observations of sessions, stored beside their logs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from dovetail.bitcoin import FeeRate, Sats, Txid, UnixTime
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.stores.ports import SessionId
from dovetail.stores.sql.schema import sightings
from dovetail.stores.sql.upsert import upsert

_KINDS = frozenset(SpendKind)


def keep(connection: Connection, session_id: SessionId, sighting: Sighting, now: UnixTime) -> None:
    """Store an observation instead of the earlier one."""
    values = {
        "kind": sighting.kind.value,
        "txid": str(sighting.txid),
        "depth": sighting.depth,
        "wanted": sighting.wanted,
        "gone": sighting.gone,
        "receded": sighting.receded,
        "rate": None if sighting.rate is None else sighting.rate.sat_per_kwu,
        "came": None if sighting.came is None else int(sighting.came),
        "asked": None if sighting.asked is None else int(sighting.asked),
        "beside": ",".join(str(txid) for txid in sighting.beside) or None,
        "seen_at": now,
    }
    statement = upsert(connection, sightings).values(session_id=session_id, **values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["session_id"], set_=values)
    ).close()


def sighting(columns: Sequence[Any]) -> Sighting | None:
    """Decode a row's columns in the table's order; None for a kind of a newer Dovetail."""
    kind, txid, depth, wanted, gone, receded, rate, came, asked, beside = columns
    if kind not in _KINDS:
        return None
    return Sighting(
        kind=SpendKind(kind),
        txid=Txid.from_hex(txid),
        depth=depth,
        wanted=wanted,
        gone=bool(gone),
        receded=bool(receded),
        rate=None if rate is None else FeeRate(rate),
        came=None if came is None else Sats(came),
        asked=None if asked is None else Sats(asked),
        beside=tuple(Txid.from_hex(each) for each in (beside or "").split(",") if each),
    )
