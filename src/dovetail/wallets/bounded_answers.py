"""HTTP answers of untrusted servers: limited in time and size, and never quoted (P4)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore2

from dovetail.errors import ChainError
from dovetail.wallets.http import Carrier, within
from dovetail.wallets.server_faults import Faults


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer; `wait` is its Retry-After in seconds (RFC 9110)."""

    status: int
    body: bytes
    wait: float | None = None


def fetch_bounded(
    carrier: Carrier,
    request: httpcore2.Request,
    faults: Faults,
    *,
    seconds: float,
    most: int,
) -> Reply:
    """Fetch a complete answer within `seconds`, with a body of at most `most` bytes.

    Raises `ChainError`.
    """
    deadline = time.monotonic() + seconds
    try:
        with within(seconds):
            response = carrier.handle_request(request)
            try:
                body = _read(response, deadline, faults, most)
            finally:
                response.close()
    except httpcore2.ConnectError as error:
        raise faults.away(error) from error
    except httpcore2.TimeoutException as error:
        raise ChainError(faults.too_slow) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise ChainError(faults.broken) from error
    return Reply(response.status, body, _wait(_header(response, b"retry-after")))


def _header(response: httpcore2.Response, name: bytes) -> str | None:
    """Return the first header with this lower-case name."""
    for key, value in response.headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


def _wait(told: str | None) -> float | None:
    """Return a Retry-After of seconds or a date as seconds (RFC 9110, 10.2.3)."""
    if told is None:
        return None
    if told.strip().isdecimal():
        return float(told.strip()[:9])
    try:
        until = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, until.timestamp() - time.time())


def _read(response: httpcore2.Response, deadline: float, faults: Faults, most: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > most:
            raise ChainError(faults.too_large)
        if time.monotonic() > deadline:
            raise ChainError(faults.too_slow)
    return bytes(body)


class BackOff:
    """The pauses that one server asks for. Threads may share it.

    After 429 or 503 no request is sent for as long as the server says, at most an hour. If it does
    not say how long, the pause doubles each time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._until = 0.0
        self._pause = _FIRST_PAUSE

    def require_no_pause(self) -> None:
        """Raise `ChainError` during a pause."""
        left = self._until - self._clock()
        if left > 0:
            raise ChainError(_FEWER.format(math.ceil(left)))

    def note_reply(self, reply: Reply) -> None:
        """Record a pause that the reply asks for, and raise `ChainError` in that case."""
        if reply.status not in (_TOO_MANY, _OVERLOADED):
            self._pause = _FIRST_PAUSE
            return
        pause = self._pause if reply.wait is None else min(reply.wait, _LONGEST_WAIT)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._until = self._clock() + pause
        raise ChainError(_FEWER.format(math.ceil(pause)))


_TOO_MANY, _OVERLOADED = 429, 503
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_WAIT = 5.0, 300.0, 3_600.0  # seconds
_FEWER = "The chain server asks for fewer requests: Dovetail asks it again after {} seconds."
