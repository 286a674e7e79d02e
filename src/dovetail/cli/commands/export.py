"""`dovetail export`."""

from pathlib import Path

import click

from dovetail.cli.help_layout import command
from dovetail.cli.option_types import SessionNumber
from dovetail.cli.options import common
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail export 5": "Print session 5 without its keys, for someone who helps you.",
        "dovetail export --all --with-secrets -o all.jsonl": "Move every session elsewhere.",
    },
)
@click.argument("sessions", metavar="[ID]...", nargs=-1, type=SessionNumber())
@click.option("--all", "every", is_flag=True, help="Export every session, open and closed.")
@click.option(
    "--with-secrets",
    "secrets",
    is_flag=True,
    help="Include the keys, so that the sessions can go on elsewhere.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this new file, for your eyes only, instead of stdout.",
)
@common
def export(*, sessions: tuple[int, ...], every: bool, secrets: bool, output: Path | None) -> int:
    """Write sessions to a file, to move or to show them.

    JSON Lines: a header, then one session a line, damaged logs included. Without
    `--with-secrets` the keys are left out: such a file is for someone who helps you, and still
    shows addresses and amounts. With them, anyone who has the file can take over the payments, and
    an open session must go on in one place only.
    """
    from dovetail.cli.handlers import transfer

    return transfer.export(sessions, output, Screen(), every=every, secrets=secrets)
