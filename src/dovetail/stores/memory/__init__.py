"""A store in memory, for tests and for programs that run longer than their sessions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.stores.memory.store import MemoryStore as MemoryStore
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(__name__, {"store": "MemoryStore"})
