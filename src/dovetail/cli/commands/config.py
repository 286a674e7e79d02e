"""`dovetail config`."""

import click

from dovetail.cli import json_keys
from dovetail.cli.help_layout import Group
from dovetail.cli.options import chain, common, directory, json_option, routes
from dovetail.cli.output import Screen
from dovetail.cli.read_only import Reading


@click.group(
    name="config",
    cls=Group,
    examples={
        "dovetail config init --network signet": "Begin the file, with every key explained.",
        "dovetail config show": "See every setting, and where it comes from.",
        "dovetail config path": "See where the file is.",
    },
)
def config() -> None:
    """Look into the configuration, or begin its file."""


@config.command(cls=Reading)
@json_option(json_keys.CONFIG_PATH)
@common
def path(*, as_json: bool) -> int:
    """Print where the configuration file is, or would be."""
    from dovetail.cli.handlers import config

    return config.path(Screen(as_json=as_json))


@config.command(cls=Reading)
@json_option(json_keys.CONFIG_SHOW)
@common
def show(*, as_json: bool) -> int:
    """Print every setting, and where it comes from.

    Durations are in seconds. A password is not shown.
    """
    from dovetail.cli.handlers import config

    return config.show(Screen(as_json=as_json))


@config.command()
@directory
@routes
@chain
@json_option(json_keys.CONFIG_PATH)
@common
def init(*, as_json: bool) -> int:
    """Begin the configuration file: every key, with what it means.

    It sets what the options say, and leaves every other key at its default. A file that is
    there stays as it is.
    """
    from dovetail.cli.handlers import config

    return config.init(Screen(as_json=as_json))
