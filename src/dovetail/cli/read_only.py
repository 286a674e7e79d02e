"""Commands that only look: whoever stops to read what they print has seen enough."""

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
