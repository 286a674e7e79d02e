"""An open session's summary, amount and label in its row, and more columns of sightings.

They are computed once from the logs; sessions with unreadable logs keep empty columns.
"""

from alembic import op
from sqlalchemy import text

from dovetail.errors import DovetailError
from dovetail.sessions import receiver, sender
from dovetail.sessions.standing import Standing, decode_summary, encode_summary
from dovetail.stores.session_index import Role, index_of
from dovetail.stores.summary import summary_after

revision = "0006"
down_revision = "0005"

_COLUMNS = (
    """
    ALTER TABLE sessions ADD COLUMN standing BLOB
    CONSTRAINT only_open_sessions_stand CHECK (closed_at IS NULL OR standing IS NULL)
    """,
    "ALTER TABLE sessions ADD COLUMN amount INTEGER",
    "ALTER TABLE sessions ADD COLUMN label VARCHAR",
    "ALTER TABLE sightings ADD COLUMN rate INTEGER",
    "ALTER TABLE sightings ADD COLUMN came INTEGER",
    "ALTER TABLE sightings ADD COLUMN asked INTEGER",
    "ALTER TABLE sightings ADD COLUMN beside VARCHAR",
)
_SESSIONS = "SELECT session_id, role, closed_at, ending FROM sessions"
_LOG = "SELECT CAST(data AS BLOB) FROM session_events WHERE session_id = :session ORDER BY seq"
_TELL = """
    UPDATE sessions SET standing = :standing, amount = :amount, label = :label
    WHERE session_id = :session
"""


def upgrade() -> None:
    """Add the columns, and fill them from the logs."""
    connection = op.get_bind()
    for statement in _COLUMNS:
        op.execute(statement)
    for session_id, role, closed_at, ending in connection.execute(text(_SESSIONS)).all():
        entries = connection.execute(text(_LOG), {"session": session_id}).scalars().all()
        log = [data or b"" for data in entries] or [b""]
        closed = closed_at is not None
        summary = (
            decode_summary(ending or b"", closed=True)
            if closed
            else summary_after(Role(role), log, closes=False)
        )
        told = {
            "standing": encode_summary(summary) if isinstance(summary, Standing) else None,
            "amount": None if summary is None else summary.amount,
            "label": _label(Role(role), log[0]),
        }
        connection.execute(text(_TELL), told | {"session": session_id})


def _label(role: Role, entry: bytes) -> str | None:
    try:
        if role is Role.RECEIVER:
            return index_of(receiver.decode_event(entry)).label
        return index_of(sender.decode_event(entry)).label
    except DovetailError:
        return None
