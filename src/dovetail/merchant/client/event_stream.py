"""The events of an invoice from a stream that breaks now and then, without I/O (HTML, 9.2)."""

import re

import msgspec

from dovetail.merchant.client.errors import ShopUnreachable
from dovetail.merchant.client.retries import Failure, Retries, may_pass
from dovetail.merchant.messages.invoices import Event

QUIET = 45.0
"""Seconds without a byte after which a stream counts as cut: the shop sends a comment each 15."""
MOST = 1_048_576
"""The most bytes of one event."""

_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")


class Following:
    """Where the reader of a stream is; it has each event once, in order."""

    def __init__(self, after: int, retries: Retries) -> None:
        self.after = after
        """The number of the last event, to begin the next stream with."""
        self._retries = retries
        self._failed = 0
        self._rest = b""
        self._data: list[bytes] = []

    def begin(self) -> None:
        """Begin with another stream: what was read of an event is forgotten."""
        self._rest = b""
        self._data = []

    def take(self, chunk: bytes) -> list[Event]:
        """Return the new events that a part of the stream completes; raises `ShopUnreachable`."""
        self._failed = 0
        *lines, self._rest = _LINE.split(self._rest + chunk)
        found = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + sum(map(len, self._data)) > MOST:
            raise ShopUnreachable(
                "An event of the shop is too large: tell its operator.", passing=False
            )
        return [event for event in found if self._is_new(event)]

    def pause(self, failure: Failure | None = None) -> float:
        """Return the pause before the next stream; raises the failure where none may help."""
        self._failed += 1
        if failure is None:
            return self._retries.backoff(1)
        if not may_pass(failure) or self._failed >= self._retries.attempts:
            raise failure
        asked = getattr(failure, "retry_after", None)
        if asked is not None and asked > self._retries.longest_pause:
            raise failure
        return self._retries.backoff(self._failed) if asked is None else float(asked)

    def _line(self, line: bytes) -> Event | None:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            return None
        text, self._data = b"\n".join(self._data), []
        if not text:
            return None
        try:
            return msgspec.json.decode(text, type=Event)
        except msgspec.MsgspecError as error:
            raise ShopUnreachable(
                "An event of the shop is not what its API promises: check `url`, and whether the"
                " shop has a much newer release than this client.",
                passing=False,
            ) from error

    def _is_new(self, event: Event) -> bool:
        if event.sequence <= self.after:
            return False
        self.after = event.sequence
        return True
