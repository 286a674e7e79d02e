"""Runs one page as its reader would: in a home of its own, each command as it is written."""

import os
import pty
import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.guides.pages import Command, Page, pattern

PATIENCE = 90.0
STILL_OPEN = 3
"""How a command ends that was told to wait for a while only, and says so."""
_URI = re.compile(r"bitcoin:\S+")
_PASTED = re.compile(r"bitcoin:[^'\s]*…[^'\s]*")


@dataclass(slots=True)
class Home:
    """A folder, the variables that were exported, and the programs that still run."""

    folder: Path
    variables: dict[str, str]
    link: str | None = None
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def leave(self) -> None:
        """Ctrl-C in each terminal, the last one first."""
        for process in reversed(self.running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def home(folder: Path, programs: Path) -> Home:
    """Nothing of the caller's own but PATH, with the installed package in front."""
    folder.mkdir(parents=True)
    variables = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "COLUMNS": "200",
        "VIRTUAL_ENV": str(programs.parent),
    }
    return Home(folder, variables)


def run_command(home: Home, command: Command) -> str | None:
    """Run it until it ends, or has shown all that the page shows; what is wrong, if any."""
    if exported := re.fullmatch(r"export (\w+)=(\S+)", command.text):
        home.variables[exported[1]] = exported[2]
        return None
    text = command.text
    if _PASTED.search(text):
        if home.link is None:
            return "no link was shown before that could be pasted"
        text = _PASTED.sub(lambda _: home.link or "", text)
    said = home.folder / f"said-{command.line}"
    with said.open("wb") as output:
        process = _start(home, text, command.answers, output)
    ended = _wait(process, command, said)
    told = said.read_text(errors="replace")
    if links := _URI.findall(told):
        home.link = links[-1]
    missing = _missing(command, told)
    if not ended:
        home.running.append(process)
        if command.shown and missing is None:
            return None
        return f"it did not end in {PATIENCE:.0f} s, and said:\n{told}"
    if process.returncode and not (process.returncode == STILL_OPEN and "--timeout" in text):
        return f"exit code {process.returncode}, and it said:\n{told}"
    return None if missing is None else f"it does not show {missing!r}, but:\n{told}"


def _start(home: Home, text: str, answers: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """With a terminal for stdin only where the page shows what a person types."""
    terminal, far = pty.openpty() if answers else (None, subprocess.DEVNULL)
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", text],
            cwd=home.folder,
            env=home.variables,
            stdin=far,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        if terminal is not None:
            os.close(far)
    if terminal is not None:
        os.write(terminal, "".join(f"{answer}\n" for answer in answers).encode())
    return process


def _wait(process: subprocess.Popen[bytes], command: Command, said: Path) -> bool:
    """Whether it ended; False once all was shown and it goes on, or when it took too long."""
    until = time.monotonic() + PATIENCE
    shown_at: float | None = None
    while time.monotonic() < until:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            return True
        if command.shown and _missing(command, said.read_text(errors="replace")) is None:
            shown_at = shown_at or time.monotonic()
            if time.monotonic() > shown_at + 1.5:
                return False
    return False


def _missing(command: Command, told: str) -> str | None:
    """The first line of the page that was not printed, in the page's order."""
    at = 0
    for line in command.shown:
        found = pattern(line).search(told, at)
        if found is None:
            return line
        at = found.end()
    return None


def run_program(home: Home, page: Page) -> str | None:
    """Run the page's Python from top to bottom as one program; what is wrong, if anything."""
    program = home.folder / "program.py"
    program.write_text(page.program)
    done = subprocess.run(
        ["python", "-W", "error", program],
        cwd=home.folder,
        env=home.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return None if done.returncode == 0 else f"exit code {done.returncode}:\n{done.stdout}"
