"""Who pays an address is found by it, and a v1 endpoint in one spelling only."""

from alembic import op
from sqlalchemy import text

from dovetail.errors import InvalidUri
from dovetail.protocol.uri import normalised_url

revision = "0004"
down_revision = "0003"

_OLD = "SELECT session_id, pj_uri FROM sessions WHERE role = 'sender' AND receiver_pubkey IS NULL"
# Of two rows that turn out to be one invoice, the one in another spelling keeps it.
_NEW = "UPDATE OR IGNORE sessions SET pj_uri = :url WHERE session_id = :session"


def upgrade() -> None:
    """Add the index, and normalise what is there; what is no URL stays as it is."""
    op.execute("CREATE INDEX payers_by_address ON sessions (address) WHERE role = 'sender'")
    connection = op.get_bind()
    for session_id, url in connection.execute(text(_OLD)).all():
        try:
            spelled = normalised_url(url)
        except InvalidUri:
            continue
        connection.execute(text(_NEW), {"url": spelled, "session": session_id})
