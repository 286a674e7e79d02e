"""Durable logs of sessions: what every store offers, and two that do, in SQL and in memory."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.stores.ports import SessionId as SessionId
    from dovetail.stores.ports import SessionLog as SessionLog
    from dovetail.stores.ports import Store as Store
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(__name__, {"ports": "SessionId SessionLog Store"})
