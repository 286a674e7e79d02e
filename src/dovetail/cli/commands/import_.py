"""`dovetail import`."""

from typing import BinaryIO

import click

from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import IMPORT
from dovetail.cli.options import common, json_option
from dovetail.cli.output import Screen


@command(
    "import",
    examples={
        "dovetail import all.jsonl": "Take the sessions of a file in.",
    },
)
@click.argument("file", type=click.File("rb"))
@json_option(IMPORT)
@common
def bring(*, file: BinaryIO, as_json: bool) -> int:
    """Take in sessions that `export` wrote.

    FILE is `-` for stdin. Each session is checked as the database's own are, gets a new number
    and is taken in whole or not at all. Importing twice does nothing; a session that is here
    already only grows.
    """
    from dovetail.cli.handlers import transfer

    return transfer.bring(file, Screen(as_json=as_json))
