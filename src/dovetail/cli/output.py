"""What is printed: results on stdout, talk on stderr, one JSON object where it was asked for."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

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

    @property
    def live(self) -> bool:
        """Whether talk goes to a terminal, where a line may be written over."""
        return sys.stderr.isatty()

    def say(self, text: str = "", **style: Any) -> None:
        """Talk."""
        self.untick()
        click.echo(click.style(text, **style) if style else text, err=True, color=colour())

    def draw(self, picture: str) -> None:
        """A picture whose colours are what it says: they stay where the user wants none."""
        self.untick()
        click.echo(picture, err=True, color=True)

    def result(self, text: str) -> None:
        """A result in plain text; nothing where a program reads."""
        self.untick()
        if not (self.as_json or self.as_events):
            click.echo(text)
            sys.stdout.flush()

    def emit(self, keys: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """The result as one JSON object with exactly the documented keys; else nothing."""
        self.untick()
        if self.as_json:
            click.echo(json.dumps({key: values[key] for key in keys}))

    def event(self, keys: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """What happened, as one JSON object in a line, where that was asked for; at once."""
        if self.as_events:
            self.untick()
            click.echo(json.dumps({key: values[key] for key in keys}))
            sys.stdout.flush()

    def tick(self, text: str) -> None:
        """A line on the terminal that the next one writes over; nothing in a pipe."""
        if self.live:
            click.echo(_CLEAR + text, nl=False, err=True)
            self._ticking = True

    def untick(self) -> None:
        """Clear that line."""
        if self._ticking:
            click.echo(_CLEAR, nl=False, err=True)
            self._ticking = False


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
    """What is left, to the second, such as `23:59:07`."""
    left = max(0, int(seconds))
    return f"{left // HOUR}:{left % HOUR // MINUTE:02}:{left % MINUTE:02}"


def sats(amount: int | None) -> str:
    """An amount for people, such as `50,000 sats`."""
    if amount is None:
        return "any amount"
    return f"{amount:,} sat" if amount == 1 else f"{amount:,} sats"


def table(
    headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: frozenset[int]
) -> str:
    """Aligned columns, two spaces apart; columns in `right` are numbers."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
