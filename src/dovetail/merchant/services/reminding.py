"""What a shop reminds its signer of, so that one with an older log does not sign."""

from dovetail.merchant.data.database import Database
from dovetail.merchant.data.signer_deeds import deeds
from dovetail.merchant.signer.messages import MOST_RECALLED, Recall


def recalls(database: Database) -> tuple[Recall, ...]:
    """Return what the database knows of the signer of each wallet; raises `StoreUnavailable`."""
    known = database.read(lambda connection: deeds(connection, limit=MOST_RECALLED))
    return tuple(
        Recall(hot=each.descriptor, sessions=each.sessions, payments=each.payments)
        for each in known
        if each.sessions or each.payments
    )
