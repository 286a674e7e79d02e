"""`dovetail history --csv`: one session a line, for a spreadsheet (RFC 4180)."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from dovetail.cli.exits import Exit
from dovetail.cli.handlers.history import Listed, pages
from dovetail.cli.json_keys import CSV
from dovetail.explain.text import printable
from dovetail.stores.ports import Wanted

_TIMES = ("created_at", "closed_at", "expires_at")
_FORMULA = ("=", "+", "-", "@")
"""Characters at the start of a cell that make a spreadsheet calculate it."""


def history(wanted: Wanted, *, limit: int | None, before: int | None) -> int:
    """Write the list; see `dovetail history --help`."""
    _write([list(CSV)])
    for page in pages(wanted, limit=limit, before=before):
        _write(map(_cells, page))
    return Exit.DONE


def _write(rows: Iterable[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    click.echo(text.getvalue(), nl=False)


def _cells(each: Listed) -> list[str]:
    values, seen = each.values, each.seen
    values |= {name: _time(values[name]) for name in _TIMES}
    values["label"] = _text(values["label"])
    values["txid"] = each.txid
    values["confirmations"] = None if seen is None or seen.sighting.gone else seen.sighting.depth
    return ["" if values[name] is None else str(values[name]) for name in CSV]


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(label: str | None) -> str | None:
    """The other party's text, made safe for spreadsheets, which would calculate it."""
    text = None if label is None else printable(label)
    return f"'{text}" if text and text.lstrip().startswith(_FORMULA) else text
