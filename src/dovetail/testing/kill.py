"""Kill a party at a chosen side effect: the ports, wrapped so that each effect is counted.

Production code knows nothing of this. A harness gives a process the wrapped ports of `counting`,
lets it be killed at the n-th effect, for every n, and starts it again: all that was not yet
durable is gone, as after a power cut, and the rest has to suffice.
"""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path


def sigkill() -> None:
    """End this process at once: no handler, no `finally`, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Counts side effects and strikes at one of them. Threads may share it.

    Each effect is written to `journal`, a line each, before the strike: `effects` and `struck`
    read the effects of killed processes. Processes of one party may share it; each counts its own.
    """

    def __init__(
        self,
        journal: Path,
        *,
        at: int | None = None,
        on: str | None = None,
        strike: Callable[[], None] = sigkill,
    ) -> None:
        """Strike at the effect number `at`, counted from 1, or at the first one named `on`."""
        self.journal = journal
        self._at = at
        self._on = on
        self._strike = strike
        self._count = 0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many effects there were."""
        return self._count

    def point(self, effect: str) -> None:
        """An effect has happened, or is about to if it is named `… leaves`."""
        with self._lock:
            self._count += 1
            strikes = self._count == self._at or effect == self._on
            _append(self.journal, f"{_MARK * strikes}{effect}\n".encode())
            if strikes:
                self._strike()


def effects(journal: Path) -> tuple[str, ...]:
    """The effects in a journal so far."""
    return tuple(line.removeprefix(_MARK) for line in _lines(journal))


def struck(journal: Path) -> str | None:
    """The effect at which a process was last killed; None where none was."""
    marked = [line.removeprefix(_MARK) for line in _lines(journal) if line.startswith(_MARK)]
    return marked[-1] if marked else None


_MARK = "killed: "


def _lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)
