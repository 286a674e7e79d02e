"""What the chain showed of sessions' money, beside their logs."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert as upsert

from dovetail.bitcoin import Txid, UnixTime
from dovetail.sessions.sightings import Kind, Sighting
from dovetail.stores.ports import SessionId
from dovetail.stores.schema import sightings

COLUMNS = tuple(column for column in sightings.c if column is not sightings.c.session_id)
"""What a row of lists has of it; empty where nothing was seen."""


def keep(connection: Connection, session_id: SessionId, sighting: Sighting, now: UnixTime) -> None:
    """Write it in place of what was seen before."""
    values = {
        "kind": sighting.kind.value,
        "txid": str(sighting.txid),
        "depth": sighting.depth,
        "wanted": sighting.wanted,
        "gone": sighting.gone,
        "receded": sighting.receded,
        "seen_at": now,
    }
    statement = upsert(sightings).values(session_id=session_id, **values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["session_id"], set_=values)
    ).close()


def sighting(row: Any) -> Sighting | None:
    """What a row has of it; None where nothing was seen, or by a newer Dovetail's kinds alone."""
    if row.kind not in set(Kind):
        return None
    return Sighting(
        kind=Kind(row.kind),
        txid=Txid.from_hex(row.txid),
        depth=row.depth,
        wanted=row.wanted,
        gone=row.gone,
        receded=row.receded,
    )
