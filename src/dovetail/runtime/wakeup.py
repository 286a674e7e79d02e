"""Word that comes while somebody waits."""

import asyncio


class News:
    """As an `asyncio.Event`, but what waits for it needs no task of its own."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._is_set = False
        self._coming: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """Whether it has come."""
        return self._is_set

    def set(self) -> None:
        """It has come."""
        self._is_set = True
        if self._coming is not None:
            self._coming.set_result(None)
            self._coming = None

    def clear(self) -> None:
        """Wait for the next."""
        self._is_set = False

    def coming(self) -> "asyncio.Future[None]":
        """Done once it comes; of whoever waits, nobody may cancel it."""
        if self._is_set:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        if self._coming is None:
            self._coming = asyncio.get_running_loop().create_future()
        return self._coming
