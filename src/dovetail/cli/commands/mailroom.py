"""`dovetail mailroom`."""

from pathlib import Path
from typing import Any

import click

from dovetail.cli.commands.mailroom_care import (
    backup,
    block,
    check,
    keys,
    status,
    unblock,
    where,
)
from dovetail.cli.help_layout import Group
from dovetail.cli.option_types import Duration, Place
from dovetail.cli.options import common
from dovetail.cli.output import Screen


@click.group(
    cls=Group,
    examples={
        "dovetail mailroom serve": "Serve one on this machine.",
        "dovetail mailroom serve --listen 0.0.0.0:8080 --v1": "Serve others too, behind a proxy.",
        "dovetail mailroom check --url https://mailroom.example": "Test the whole setup.",
        "dovetail mailroom status": "Ask the one that runs here.",
    },
)
def mailroom() -> None:
    """Run a directory, gateway and relay.

    Receivers have their mailboxes there, and through it senders and receivers reach the mailboxes
    of others without showing their IP address.
    """


@mailroom.command()
@click.option(
    "--listen",
    type=Place(),
    help="Where to listen; 127.0.0.1:8080 unless given, and port 0 is any.",
)
@where
@click.option(
    "--directory/--no-directory", "directory", default=None, help="Keep mailboxes for receivers."
)
@click.option("--relay/--no-relay", default=None, help="Forward to the gateways of others.")
@click.option(
    "--local",
    is_flag=True,
    default=None,
    help="For tests on one machine: the relay reaches private addresses and itself.",
)
@click.option(
    "--v1",
    is_flag=True,
    default=None,
    help="Let BIP 78 senders wait for a receiver that is online.",
)
@click.option(
    "--ca-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM certificates the relay trusts instead of the system's.",
)
@click.option(
    "--tls-cert",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM certificates of this server, its own first; it speaks https then.",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The PEM key of that certificate.",
)
@click.option("--ttl", type=Duration(), help="How long a message is kept; 7d unless given.")
@click.option(
    "--metrics",
    type=Place(local=True),
    help="Where Prometheus asks for metrics, else nowhere; a port alone is of this machine.",
)
@click.option(
    "--json-log",
    is_flag=True,
    default=None,
    help="Write the log as JSON, a line for each entry.",
)
@common
def serve(**given: Any) -> int:
    """Serve until Ctrl-C.

    Prints its URL, to be used as `directory` and among `relays`. Put a proxy that speaks https
    in front of it if others are to reach it. Each option and limit is a key of the table
    [mailroom] in the configuration, and a variable; options win over variables, and those over the
    file.
    """
    from dovetail.cli.handlers import mailroom as handler

    return handler.serve(Screen(), **given)


for command in (check, status, keys, backup, block, unblock):
    mailroom.add_command(command)
