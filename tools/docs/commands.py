"""Every command of the tree, for the pages that are written from them."""

from collections.abc import Generator

import click


def walk(
    group: click.Group, path: tuple[str, ...]
) -> Generator[tuple[tuple[str, ...], click.Command]]:
    """Every command below `group`, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
