"""`dovetail mailroom check`, `status`, `keys`, `backup`, `block` and `unblock`."""

from pathlib import Path
from typing import Any

import click

from dovetail.cli import json_keys
from dovetail.cli.help_layout import Group
from dovetail.cli.options import common, json_option, routes
from dovetail.cli.output import Screen

where = click.option(
    "--data",
    "data_dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The mailroom's own folder, instead of one in the data directory.",
)
_network = click.argument("cidr", metavar="CIDR")


@click.command()
@click.option(
    "--url",
    "public_url",
    metavar="URL",
    help="Where others reach the directory, to be tested as they see it.",
)
@where
@routes
@json_option(json_keys.MAILROOM_CHECK)
@common
def check(*, as_json: bool, **given: Any) -> int:
    """Test the whole setup, and name each setting that is wrong.

    Run it on the mailroom's machine, as its user. With a public URL it also tests the certificate
    and the opt-in, and sends a message there and back through a relay of another operator.
    """
    from dovetail.cli.handlers import mailroom_check as handler

    return handler.check(Screen(as_json=as_json), **given)


@click.command()
@where
@json_option(json_keys.MAILROOM_STATUS)
@common
def status(*, as_json: bool, **given: Any) -> int:
    """Show how the mailroom that runs here is, and the settings that hold."""
    from dovetail.cli.handlers import mailroom_care as handler

    return handler.status(Screen(as_json=as_json), **given)


@click.group(
    cls=Group,
    examples={"dovetail mailroom keys rotate": "Publish a new key now, as after a break-in."},
)
def keys() -> None:
    """Show and rotate the OHTTP keys.

    A key is replaced by itself after 90 days. One that was replaced is accepted for as long as a
    session may still use it.
    """


@keys.command("list")
@where
@json_option(json_keys.MAILROOM_KEYS)
@common
def list_(*, as_json: bool, **given: Any) -> int:
    """Show the keys that are accepted, without their secrets."""
    from dovetail.cli.handlers import mailroom_care as handler

    return handler.keys(Screen(as_json=as_json), **given)


@keys.command()
@where
@json_option(json_keys.MAILROOM_ROTATE)
@common
def rotate(*, as_json: bool, **given: Any) -> int:
    """Publish a new key from now on; prints its id."""
    from dovetail.cli.handlers import mailroom_care as handler

    return handler.rotate(Screen(as_json=as_json), **given)


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@where
@json_option(json_keys.MAILROOM_BACKUP)
@common
def backup(*, as_json: bool, **given: Any) -> int:
    """Copy a mailroom that runs into a new folder: its messages and its OHTTP keys.

    Nothing has to be stopped. Whoever has the keys can read which mailboxes requests were for, if
    they also recorded the traffic: keep the folder safe, and destroy old ones.
    """
    from dovetail.cli.handlers import mailroom_care as handler

    return handler.backup(Screen(as_json=as_json), **given)


@click.command()
@_network
@where
@json_option(json_keys.MAILROOM_BLOCK)
@common
def block(*, as_json: bool, **given: Any) -> int:
    """Refuse a network, such as 192.0.2.0/24, from now on.

    A mailroom that runs here closes its connections at once.
    """
    from dovetail.cli.handlers import mailroom_care as handler

    return handler.block(Screen(as_json=as_json), **given)


@click.command()
@_network
@where
@json_option(json_keys.MAILROOM_BLOCK)
@common
def unblock(*, as_json: bool, **given: Any) -> int:
    """Serve a network again that `block` has refused."""
    from dovetail.cli.handlers import mailroom_care as handler

    return handler.unblock(Screen(as_json=as_json), **given)
