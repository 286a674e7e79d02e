"""Errors of untrusted servers; their answers are never quoted (P4)."""

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
    """The errors of one kind of server, as sentences that name its setting."""

    server: str
    """Its name in sentences, such as "the chain server"."""
    remedy: str
    """Advice if there is no connection to it."""
    broken: str
    """The connection ended before the answer was complete."""
    too_slow: str
    too_large: str
    strange: str
    """The answer is not one of such a server."""

    def away(self, error: BaseException | None = None) -> ChainError:
        """Return the error for a failed connection, with the system's reason."""
        cause = "" if error is None else no_connection(error)
        why = f", as {cause}" if cause else ""
        return ChainError(f"There is no connection to {self.server}{why}: {self.remedy}.")

    def not_understood(self) -> ChainError:
        """Return the error for an invalid answer; the answer itself is not chained."""
        return ChainError(self.strange)

    @contextmanager
    def reading(self) -> Generator[None]:
        """Turn a `ParseError` into a `ChainError` without its cause, which may quote."""
        try:
            yield
        except ParseError:
            raise self.not_understood() from None

    def decoded(self, data: bytes | msgspec.Raw, kind: type[T]) -> T:
        """Decode JSON of this type. Raises `ChainError`."""
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self.not_understood() from None
