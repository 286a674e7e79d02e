"""A session's log in memory, by the rules of the persister protocols (M1, M5)."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dovetail.errors import StaleSession

E = TypeVar("E")


@dataclass
class MemoryLog(Generic[E]):
    events: list[E] = field(default_factory=list)
    closed: bool = False

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        if self.closed or seq != len(self.events):
            raise StaleSession("Another handle has moved this session on; reload it.")
        self.events.append(event)
        self.closed = closes

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        self.append(event, seq=seq, closes=closes)
