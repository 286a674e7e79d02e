"""A server's log: lines with time and level. A slow reader never blocks the server."""

import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from queue import Empty, SimpleQueue
from types import MappingProxyType

STDERR = 2
LINES_WAITING = 1_000
"""Lines that are kept for a slow reader; more are dropped and counted."""
ALIKE = 5
"""Lines of one kind that are written in `ALIKE_SECONDS`, and of the same words one; more are only
counted."""
ALIKE_SECONDS = 60.0
LONGEST_LINE = 4_000
"""The longest line in bytes; a pipe takes this much in one write."""

_LONGEST_MESSAGE = 600
_KINDS = 1_000
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 2.0
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S%z"


_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**values: object) -> Generator[None]:
    """Add ids to each line that is logged in the block, and in the tasks and threads it begins.

    They are for `JsonLines`. Give ids that say nothing to others, such as `request`, and no text of
    a caller (P4).
    """
    token = _about.set({**_about.get(), **{name: str(each) for name, each in values.items()}})
    try:
        yield
    finally:
        _about.reset(token)


class TextLines(logging.Formatter):
    """Formats lines for people."""

    def __init__(self) -> None:
        """With time, level and the log's name."""
        super().__init__(_FORMAT, _TIME)

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, with the number of similar lines that were left out."""
        more = getattr(record, "left_out", 0)
        told = f" ({more} more like it were not written)" if more else ""
        return f"{super().format(record)}{told}"


class JsonLines(logging.Formatter):
    """Formats lines for programs: a JSON object each, with `time`, `level`, `log` and `words`.

    The `values` of a record are added to it, and what the log is `about` at that moment.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one object in one line of at most `LONGEST_LINE` bytes."""
        told: dict[str, object] = {
            "time": self.formatTime(record, _TIME),
            "level": record.levelname.lower(),
            "log": record.name,
            "words": record.getMessage()[:_LONGEST_MESSAGE],
        }
        more = getattr(record, "left_out", 0)
        told |= {"left_out": more} if more else {}
        return json.dumps(told | dict(_about.get()) | getattr(record, "values", {}))


@dataclass(slots=True)
class _Kind:
    """The lines of one kind in the last `ALIKE_SECONDS`."""

    since: float
    written: set[str] = field(default_factory=set[str])
    left_out: int = 0
    last: logging.LogRecord | None = None


class BoundedHandler(logging.Handler):
    """Writes log lines to a file descriptor from a thread of its own."""

    def __init__(
        self,
        descriptor: int,
        *,
        lines: logging.Formatter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The caller keeps and closes the descriptor. `lines` is `TextLines` by default."""
        super().__init__()
        self.setFormatter(TextLines() if lines is None else lines)
        self._descriptor = descriptor
        self._clock = clock
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._dropped = 0
        self._kinds: dict[tuple[str, object], _Kind] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="dovetail-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, unless there are too many of its kind or too many in all."""
        try:
            more = self._alike(record)
        except Exception:  # noqa: BLE001  # as in logging: a bad record must not raise
            self.handleError(record)
            return
        if more is not None:
            self._queue(record, more)

    def _queue(self, record: logging.LogRecord, more: int) -> None:
        record.left_out = more
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as in logging: a bad record must not raise
            self.handleError(record)
            return
        if self._lines.qsize() >= LINES_WAITING:
            self._dropped += 1
        else:
            self._lines.put(line.encode("utf-8", "backslashreplace")[:LONGEST_LINE] + b"\n")

    def close(self) -> None:
        """Write the queued lines if the reader takes them; a second call does nothing."""
        if not self._ending.is_set():
            self._tell_left_out(inf)
        self._ending.set()
        self._thread.join(_CLOSE_SECONDS)
        super().close()

    def _alike(self, record: logging.LogRecord) -> int | None:
        """Return how many similar lines were left out before it; None if it is left out too."""
        name, now, words = (record.name, record.msg), self._clock(), record.getMessage()
        kind = self._kinds.get(name)
        if kind is None or now - kind.since >= ALIKE_SECONDS:
            if kind is None and len(self._kinds) >= _KINDS:
                del self._kinds[next(iter(self._kinds))]
            self._kinds[name] = _Kind(now, {words[:_LONGEST_MESSAGE]})
            return 0 if kind is None else kind.left_out
        if words[:_LONGEST_MESSAGE] in kind.written or len(kind.written) >= ALIKE:
            kind.left_out, kind.last = kind.left_out + 1, record
            return None
        kind.written.add(words[:_LONGEST_MESSAGE])
        return 0

    def _tell_left_out(self, now: float) -> None:
        """Write the last of the lines that were left out and that no line followed in time."""
        self.acquire()
        try:
            over = [
                name
                for name, kind in self._kinds.items()
                if kind.last is not None and now - kind.since >= ALIKE_SECONDS
            ]
            for name in over:
                kind = self._kinds.pop(name)
                if kind.last is not None:
                    self._queue(kind.last, kind.left_out - 1)
        finally:
            self.release()

    def _line_of_dropped(self, number: int) -> bytes:
        words = f"{number} lines of the log were dropped, because nothing read the log."
        told = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": words}
        return f"{self.format(logging.makeLogRecord(told))}\n".encode()

    def _write_all(self) -> None:
        while not (self._ending.is_set() and self._lines.empty()):
            try:
                line = self._lines.get(timeout=_POLL_SECONDS)
            except Empty:
                self._tell_left_out(self._clock())
                continue
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                line = self._line_of_dropped(dropped) + line
            # Write only when the pipe takes the whole line, so that other writers need not wait.
            while not _takes_more(self._descriptor):
                if self._ending.is_set():
                    return
            with suppress(OSError):  # the reader has gone
                os.write(self._descriptor, line)


@contextmanager
def logging_to(
    descriptor: int, *names: str, lines: logging.Formatter | None = None
) -> Generator[None]:
    """Send these logs to `descriptor` only, while the block runs."""
    handler = BoundedHandler(descriptor, lines=lines)
    loggers = [logging.getLogger(name) for name in names]
    former = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagates in former:
            logger.handlers, logger.propagate = handlers, propagates
        handler.close()


def _takes_more(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(_POLL_SECONDS * 1000))
