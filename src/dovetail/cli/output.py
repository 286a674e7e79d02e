"""Output: results on stdout, messages on stderr, one JSON object where it was asked for."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from dovetail.cli import terminal
from dovetail.cli.hints import repeated
from dovetail.errors import UsageError

MINUTE, HOUR, DAY = 60, 3600, 86_400
_CLEAR = "\r\x1b[K"


class Screen:
    """The two streams of one command.

    With `as_json` only the object goes to stdout, with `as_events` only what happens, a line each.
    """

    def __init__(self, *, as_json: bool = False, as_events: bool = False) -> None:
        """Talk goes to stderr in any case. Raises `UsageError` where both are asked for."""
        if as_json and as_events:
            raise UsageError("Choose one: --json prints the end, --events what happens.")
        self.as_json = as_json
        self.as_events = as_events
        self._ticking = False
        self._status: str | None = None

    @property
    def live(self) -> bool:
        """Whether talk goes to a terminal, where somebody reads it now."""
        return terminal.is_terminal(sys.stderr)

    def say(self, text: str = "", **style: Any) -> None:
        """Talk."""
        self.untick()
        self._status = None
        write(text, err=True, **style)

    def draw(self, picture: str) -> None:
        """A picture whose colours are what it says: they stay where the user wants none."""
        self.untick()
        click.echo(picture, err=True, color=True)

    def result(self, text: str) -> None:
        """A result in plain text; nothing where a program reads."""
        self.untick()
        if not (self.as_json or self.as_events):
            write(text)
            sys.stdout.flush()

    def emit(self, keys: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """The result as one JSON object with exactly the documented keys; else nothing."""
        self.untick()
        if self.as_json:
            click.echo(json.dumps({key: values[key] for key in keys}))

    def event(self, keys: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Print an event at once, as one JSON object in a line, where that was asked for."""
        if self.as_events:
            self.untick()
            click.echo(json.dumps({key: values[key] for key in keys}))
            sys.stdout.flush()

    def tick(self, text: str, *, about: str | None = None) -> None:
        """A line on the terminal that the next one writes over; nothing in a pipe.

        Where none can be written over, it is printed once for each `about`, or text.
        """
        if terminal.rewrites(sys.stderr):
            # A line that fills the terminal's last column would need two to be cleared.
            line = terminal.clipped(
                terminal.spelled(text, sys.stderr), terminal.room(sys.stderr).columns - 1
            )
            click.echo(_CLEAR + line, nl=False, err=True)
            self._ticking = True
        elif self.live and self._status != (about or text):
            self._status = about or text
            write(text, err=True)

    def untick(self) -> None:
        """Clear that line."""
        if self._ticking:
            clear()
            self._ticking = False


def clear() -> None:
    """Wipe the line that the cursor is in, where that can be done."""
    if terminal.rewrites(sys.stderr):
        click.echo(_CLEAR, nl=False, err=True)


def write(text: str = "", *, err: bool = False, label: int = 0, **style: Any) -> None:
    """Print text as the terminal can show it; a style is of the first `label` letters, or of all.

    All that people read goes through here: click writes UTF-8 where only ASCII is.
    """
    told = terminal.fitted(repeated(text), sys.stderr if err else sys.stdout)
    end = label or len(told)
    styled = click.style(told[:end], **_legible(style)) if style else told[:end]
    click.echo(styled + told[end:], err=err, color=colour())


def confirm(question: str) -> None:
    """Ask a person; raises `click.Abort` unless the answer is yes."""
    click.confirm(terminal.fitted(question, sys.stderr), abort=True, err=True)


def require_somebody() -> None:
    """Raise `UsageError` unless a person can be asked."""
    if not sys.stdin.isatty():
        raise UsageError("Can't ask for confirmation (no terminal). Add --yes.")


def _legible(style: dict[str, Any]) -> dict[str, Any]:
    """Replace yellow on a light background, where it cannot be read."""
    if style.get("fg") == "yellow" and terminal.has_light_background():
        return style | {"fg": None, "bold": True}
    return style


def colour() -> bool | None:
    """False where the user wants none; None leaves it to whether a terminal is there."""
    return False if os.environ.get("NO_COLOR") else None


def local_time(at: int) -> str:
    """A moment in the local time zone, to the second."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A duration in its two largest units, such as `23h 59m`."""
    left = max(0, int(seconds))
    days, left = divmod(left, DAY)
    hours, left = divmod(left, HOUR)
    minutes, left = divmod(left, MINUTE)
    if days > 1:
        return f"{days}d {hours}h"
    hours += days * DAY // HOUR
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {left:02}s" if minutes else f"{left}s"


def countdown(seconds: float) -> str:
    """A remaining time to the second, such as `23:59:07`."""
    left = max(0, int(seconds))
    return f"{left // HOUR}:{left % HOUR // MINUTE:02}:{left % MINUTE:02}"


def sats(amount: int | None) -> str:
    """An amount for people, such as `50,000 sats`."""
    if amount is None:
        return "any amount"
    return f"{amount:,} sat" if amount == 1 else f"{amount:,} sats"
