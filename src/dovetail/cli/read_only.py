"""Commands that only read: they end quietly when the reader of their output leaves."""

from typing import Any

import click

from dovetail.cli.exits import Exit
from dovetail.cli.help_layout import Command


class Reading(Command):
    """Ends quietly, as done, where the reader of stdout has left, as in `history | head`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return Exit.DONE
