"""The processes of one run, and the clock that they share.

Each is forked from this single-threaded process, which has imported everything already: a real
process with memory of its own, killed by a real SIGKILL, at a tenth of the price of a new one.
"""

import mmap
import os
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self


class SharedClock:
    """The parties' clock: the system's, set forward. Forked processes share it."""

    def __init__(self) -> None:
        self._ahead = mmap.mmap(-1, 8)
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + self.ahead

    @property
    def ahead(self) -> float:
        """Seconds by which it is set forward."""
        return float(struct.unpack("d", self._ahead[:8])[0])

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._ahead[:8] = struct.pack("d", seconds)


class Process:
    """A forked process that runs `work` and exits with what that returns."""

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_run(work, log))
        self._status: int | None = None

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return None
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def end(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            while self.code is None:
                time.sleep(0.001)


class RealProcess:
    """A command by the installed program: no fork, no wrapped port."""

    def __init__(self, words: Sequence[str], home: Path, settings: Mapping[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOVETAIL_")}
        with (home / "real.log").open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dovetail.cli", *words],
                env=inherited | dict(settings),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _run(work: Callable[[], int], log: Path) -> int:
    """In the child: nothing may return into the harness."""
    code = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, 2)
        out = os.open(log.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        code = work()
    except BaseException:  # noqa: BLE001 - whatever it was, the harness is not to run twice
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


class Group:
    """The processes of one run, all ended with it."""

    def __init__(self) -> None:
        self._all: list[Process] = []

    def add(self, process: Process) -> Process:
        self._all.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.end()
