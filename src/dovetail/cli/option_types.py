"""The types of what is typed after options and as arguments."""

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from dovetail.bitcoin import FeeRate, OutPoint

HIGHEST_PORT = 65_535
LOOPBACK = "127.0.0.1"
MOST_SATS = 2_100_000_000_000_000
EVERYTHING = -1
"""The value of `all`, where an amount is asked for."""

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([smhdw]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_COMPLETED = 200


def seconds(text: str) -> float | None:
    """Read a duration such as `90`, `90s`, `10m`, `24h` or `7d`; None for other text."""
    found = _DURATION.fullmatch(text.strip().lower())
    return None if found is None else float(found[1]) * _UNITS[found[2]]


class Amount(click.ParamType[int]):
    """Satoshis as a whole number; underscores may part the digits."""

    name = "SATS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Check that something can be paid."""
        text = str(value)
        if not re.fullmatch(r"[0-9]+(?:_[0-9]+)*", text, re.ASCII) or len(text) > 24:
            self.fail("give the amount in whole sats, such as 50000.", param, ctx)
        amount = int(text)
        if amount == 0:
            self.fail("nobody can pay 0 sats; ask for at least 1 sat.", param, ctx)
        if amount > MOST_SATS:
            self.fail("there are only 21 million bitcoins; give less.", param, ctx)
        return amount


class AmountOrAll(Amount):
    """The same, or `all` for everything that can be spent."""

    name = "SATS|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; `all` is `EVERYTHING`."""
        if str(value).lower() == "all":
            return EVERYTHING
        return super().convert(value, param, ctx)


class Coin(click.ParamType["OutPoint"]):
    """A coin as `wallet coins` lists it."""

    name = "TXID:VOUT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "OutPoint":
        """Read it."""
        from dovetail.bitcoin import OutPoint  # noqa: PLC0415 - no help needs it

        text = str(value).lower()
        if not re.fullmatch(r"[0-9a-f]{64}:[0-9]{1,9}", text, re.ASCII):
            self.fail("give a coin as `wallet coins` lists it, TXID:VOUT.", param, ctx)
        return OutPoint.parse(text)


class Duration(click.ParamType[float]):
    """Seconds, or a number with s, m, h, d or w after it."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it into seconds."""
        found = seconds(str(value))
        if found is None:
            self.fail("give a duration such as 90s, 10m, 24h or 7d.", param, ctx)
        return found


class Since(click.ParamType[int]):
    """A moment in the past: a date, a date with a time, or how long ago."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it into Unix seconds; what names no time zone is local."""
        text = str(value).strip()
        ago = None if text.isdecimal() else seconds(text)
        try:
            if ago is not None:
                return int(time.time() - ago)
            return int(datetime.fromisoformat(text).timestamp())
        except (ValueError, OverflowError, OSError):
            self.fail("give a date such as 2026-11-24, or how long ago, such as 7d.", param, ctx)


class Rate(click.ParamType["FeeRate"]):
    """A fee rate in sat/vB, as plain decimal text."""

    name = "SAT/VB"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "FeeRate":
        """Read it exactly."""
        from dovetail.bitcoin import FeeRate  # noqa: PLC0415 - no help needs it

        text = str(value)
        if not re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", text, re.ASCII):
            self.fail("give a fee rate in sat/vB, such as 2.5.", param, ctx)
        if not float(text):
            self.fail("a payment without a fee is never mined; give at least 0.1.", param, ctx)
        return FeeRate.from_sat_per_vb(text)


class Percent(click.ParamType[int]):
    """Per cent with at most one decimal, read as thousandths."""

    name = "PER CENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it exactly."""
        found = re.fullmatch(r"([0-9]{1,2})(?:\.([0-9]))?", str(value), re.ASCII)
        if found is None:
            self.fail("give a number of per cent from 0 to 99.9, such as 1.5.", param, ctx)
        return int(found[1]) * 10 + int(found[2] or 0)


class Place(click.ParamType[tuple[str, int]]):
    """Where a server listens: a host and a port, with an IPv6 address in brackets."""

    name = "HOST:PORT"

    def __init__(self, *, local: bool = False) -> None:
        """Where it may be `local`, a port alone is one of this machine."""
        self._host = LOOPBACK if local else ""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Split it at the last colon."""
        host, colon, port = str(value).rpartition(":")
        if not colon and self._host:
            host, colon = self._host, ":"
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not colon or not bare or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
            self.fail("give a host and a port, such as 127.0.0.1:8080.", param, ctx)
        if int(port) > HIGHEST_PORT:
            self.fail(f"ports end at {HIGHEST_PORT}; give a lower one.", param, ctx)
        return bare, int(port)


class SessionNumber(click.IntRange):
    """The number of a session, as `history` lists it; Tab knows those that are there."""

    def __init__(self) -> None:
        """Numbers begin at 1."""
        super().__init__(min=1)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The latest sessions whose numbers begin like this; none where they cannot be read."""
        del param
        from dovetail.cli.handlers.empty_store import latest  # noqa: PLC0415 - for Tab alone

        with ctx.scope(cleanup=False):
            found = latest(_COMPLETED)
        return [
            CompletionItem(str(number), help="open" if is_open else "closed")
            for number, is_open in found
            if str(number).startswith(incomplete)
        ]
