"""What may go wrong with a server that need not be honest; its answers are never quoted (P4)."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from dovetail.causes import no_connection
from dovetail.errors import ChainError, ParseError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may go wrong with one kind of server, each in a sentence that names its setting."""

    server: str
    """What it is called, such as "the chain server"."""
    remedy: str
    """What to check where there is no connection to it."""
    broken: str
    """It was reached, and did not answer whole."""
    too_slow: str
    too_large: str
    strange: str
    """What came is no answer of such a server."""

    def away(self, error: BaseException | None = None) -> ChainError:
        """What to raise where there is no connection, with what the system says of it."""
        cause = "" if error is None else no_connection(error)
        why = f", as {cause}" if cause else ""
        return ChainError(f"There is no connection to {self.server}{why}: {self.remedy}.")

    def not_understood(self) -> ChainError:
        """What to raise for an answer that is none; the answer itself is not chained."""
        return ChainError(self.strange)

    @contextmanager
    def reading(self) -> Generator[None]:
        """A `ParseError` within is the server's fault; its cause, which may quote, is dropped."""
        try:
            yield
        except ParseError:
            raise self.not_understood() from None

    def decoded(self, data: bytes | msgspec.Raw, kind: type[T]) -> T:
        """JSON of this type. Raises `ChainError`."""
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self.not_understood() from None
