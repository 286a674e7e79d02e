"""Real pseudo-terminals: commands run on them, and what they show is read as a person sees it."""

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import pyte
import pytest

from dovetail.cli import exits, terminal
from dovetail.cli.app import app

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
REWRITTEN = re.compile(r"[^\n]*\r\x1b\[K")
BACKGROUNDS = {"light": "0;15", "dark": "15;0"}
LINES = 64
END = b"\0"
CLAIMS = ("COLUMNS", "LINES", "NO_COLOR", "PYTHONIOENCODING", "LC_ALL")
"""Variables that would win over what the terminal says of itself."""


@dataclass
class Shown:
    """What a command wrote on a terminal."""

    code: int
    raw: bytes
    encoding: str
    columns: int

    @property
    def text(self) -> str:
        """What was written, as it stands in the end: no colours, and nothing written over."""
        plain = COLOURS.sub("", self.raw.decode(self.encoding)).replace("\r\n", "\n")
        return REWRITTEN.sub("", plain)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def words(self) -> list[str]:
        return self.text.split()

    @property
    def screen(self) -> pyte.Screen:
        """The same as a terminal draws it."""
        screen = pyte.Screen(self.columns, LINES)
        pyte.Stream(screen).feed(self.raw.decode(self.encoding))
        return screen

    def too_long(self) -> list[str]:
        """Lines that the terminal had to break, but for words that are as long."""
        drawn = [line for line in self.lines if "▀" not in line]
        return [
            line for line in drawn if terminal.cells(line) > self.columns and len(line.split()) > 1
        ]


@dataclass
class Tty:
    """A terminal of some width, with the letters and the background that it has."""

    columns: int
    encoding: str = "utf-8"
    background: str = "dark"
    term: str = "xterm-256color"
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {"TERM": self.term, "COLORFGBG": BACKGROUNDS[self.background]}
        return own | dict(self.settings)

    def __call__(self, *words: str, typed: str = "") -> Shown:
        """Run a command in this process, with the terminal as its three streams."""
        with opened(self.columns) as (ours, theirs), Reading(ours, theirs) as reading:
            os.write(ours, typed.encode())
            streams = {name: self._stream(theirs, name) for name in ("stdin", "stdout", "stderr")}
            with pytest.MonkeyPatch.context() as patch:
                for name in CLAIMS:
                    patch.delenv(name, raising=False)
                for name, value in self.environment.items():
                    patch.setenv(name, value)
                for name, stream in streams.items():
                    patch.setattr(sys, name, stream)
                code = exits.run(app, list(words))
            for stream in streams.values():
                stream.close()
        return Shown(code, reading.got, self.encoding, self.columns)

    def _stream(self, descriptor: int, name: str) -> io.TextIOWrapper:
        reads = name == "stdin"
        raw = io.FileIO(os.dup(descriptor), "r" if reads else "w")
        buffer = io.BufferedReader(raw) if reads else raw
        return io.TextIOWrapper(buffer, self.encoding, write_through=not reads)


class Reading:
    """Takes what a terminal shows, as it comes."""

    def __init__(self, ours: int, theirs: int) -> None:
        self.got = b""
        self._ours, self._theirs = ours, theirs
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._theirs, END)
        self._thread.join(10)

    def _read(self) -> None:
        while not self.got.endswith(END):
            self.got += os.read(self._ours, 65_536)
        self.got = self.got.removesuffix(END)


@contextmanager
def opened(columns: int) -> Iterator[tuple[int, int]]:
    """Both ends of a terminal that echoes nothing."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    modes = termios.tcgetattr(theirs)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    try:
        yield ours, theirs
    finally:
        os.close(theirs)
        os.close(ours)
