"""Answers of servers that need not be honest: bounded in time and size, and never quoted (P4)."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import msgspec

from dovetail.errors import ChainError, ParseError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may go wrong with one kind of server, each in a sentence that names its setting."""

    unreachable: str
    broken: str
    """It was reached, and did not answer whole."""
    too_slow: str
    too_large: str
    strange: str
    """What came is no answer of such a server."""

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


def asked(
    transport: httpx.BaseTransport,
    request: httpx.Request,
    faults: Faults,
    *,
    seconds: float,
    most: int,
) -> tuple[int, bytes]:
    """The status and the body, of `most` bytes at most, that came within `seconds`.

    Raises `ChainError`.
    """
    deadline = time.monotonic() + seconds
    try:
        response = transport.handle_request(request)
        try:
            return response.status_code, _read(response, deadline, faults, most)
        finally:
            response.close()
    except httpx.ConnectError as error:
        raise ChainError(faults.unreachable) from error
    except httpx.TimeoutException as error:
        raise ChainError(faults.too_slow) from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise ChainError(faults.broken) from error


def _read(response: httpx.Response, deadline: float, faults: Faults, most: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > most:
            raise ChainError(faults.too_large)
        if time.monotonic() > deadline:
            raise ChainError(faults.too_slow)
    return bytes(body)
