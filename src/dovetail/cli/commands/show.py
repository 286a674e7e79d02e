"""`dovetail show`."""

from pathlib import Path

import click

from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import SHOW
from dovetail.cli.options import common, json_option, session_argument
from dovetail.cli.output import Screen
from dovetail.cli.read_only import Reading

_DRAWN = "-"
"""The value of `--qr` without a file's name."""


class Show(Reading):
    """The command, whose `--qr` may stand before the session's number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take a number behind `--qr` for the session's, and not for a file's name."""
        after = [*args, ""][1:]
        told = [
            f"--qr={_DRAWN}" if word == "--qr" and following.isdecimal() else word
            for word, following in zip(args, after, strict=True)
        ]
        return super().parse_args(ctx, told)


@command(
    cls=Show,
    examples={
        "dovetail show 5": "Tell what happened in session 5, and what to do next.",
        "dovetail show 5 --qr": "Draw its Payjoin URI again, as long as it can be paid.",
    },
)
@session_argument
@click.option(
    "--qr",
    metavar="[FILE]",
    is_flag=False,
    flag_value=_DRAWN,
    help="Draw the QR code of a URI that can be paid, or write it to a .png or .svg file.",
)
@click.option("--raw", is_flag=True, help="Print the log as it is stored, without its keys.")
@json_option(SHOW)
@common
def show(*, session_id: int, qr: str | None, raw: bool, as_json: bool) -> int:
    """Show one session: what happened and what is still to pay.

    Shows the request with its URI, as long as it can be paid; amounts, fees and the cost of a
    payjoin; the events with their local time; the state, and what to do next. It asks nothing of
    the network: confirmations are those seen last. `--raw` shows a damaged log, and `dovetail
    export` saves it.
    """
    from dovetail.cli.handlers import show as handler

    file = None if qr in (None, _DRAWN) else Path(qr)
    screen = Screen(as_json=as_json)
    return handler.show(screen, session_id, raw=raw, draw=qr == _DRAWN, qr_file=file)
