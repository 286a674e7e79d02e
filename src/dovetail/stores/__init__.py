"""Durable session logs: the store's interface, and stores in SQL and in memory."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.stores.ports import Appended as Appended
    from dovetail.stores.ports import ImportedSession as ImportedSession
    from dovetail.stores.ports import ImportOutcome as ImportOutcome
    from dovetail.stores.ports import ImportResult as ImportResult
    from dovetail.stores.ports import Role as Role
    from dovetail.stores.ports import Rows as Rows
    from dovetail.stores.ports import SessionId as SessionId
    from dovetail.stores.ports import SessionLog as SessionLog
    from dovetail.stores.ports import SessionRow as SessionRow
    from dovetail.stores.ports import Store as Store
    from dovetail.stores.ports import StoredLog as StoredLog
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "ports": "Appended ImportOutcome ImportResult ImportedSession Role Rows"
            " SessionId SessionLog SessionRow Store StoredLog",
        },
    )
