"""An index of senders by address, and normalised v1 endpoints."""

from alembic import op
from sqlalchemy import text

from dovetail.errors import InvalidUri
from dovetail.protocol.uri import normalised_url

revision = "0004"
down_revision = "0003"

_OLD = "SELECT session_id, pj_uri FROM sessions WHERE role = 'sender' AND receiver_pubkey IS NULL"
# If two rows become the same invoice, the second keeps its own spelling.
_NEW = "UPDATE OR IGNORE sessions SET pj_uri = :url WHERE session_id = :session"


def upgrade() -> None:
    """Add the index, and normalise existing URLs; other texts stay unchanged."""
    op.execute("CREATE INDEX payers_by_address ON sessions (address) WHERE role = 'sender'")
    connection = op.get_bind()
    for session_id, url in connection.execute(text(_OLD)).all():
        try:
            spelled = normalised_url(url)
        except InvalidUri:
            continue
        connection.execute(text(_NEW), {"url": spelled, "session": session_id})
