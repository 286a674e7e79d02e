"""`dovetail completion`."""

import click

from dovetail.cli.help_layout import command
from dovetail.cli.options import common
from dovetail.cli.read_only import Reading

SHELLS = ("bash", "zsh", "fish")


@command(
    cls=Reading,
    examples={
        'eval "$(dovetail completion bash)"': "In ~/.bashrc.",
        'eval "$(dovetail completion zsh)"': "In ~/.zshrc, after compinit.",
        "dovetail completion fish > ~/.config/fish/completions/dovetail.fish": "Once; make the"
        " folder first where it is missing.",
    },
)
@click.argument("shell", type=click.Choice(SHELLS))
@common
def completion(*, shell: str) -> None:
    """Print the completion script for a shell.

    With it, Tab completes commands, options and the numbers of sessions.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        told = found(click.get_current_context().find_root().command, {}, *NAMES)
        # Bash's own asks which bash is there; the script is the same for all.
        script = ShellComplete.source(told).strip()
        click.echo(script.replace(*WHOLE) if shell == "fish" else script)


NAMES = ("dovetail", "_DOVETAIL_COMPLETE")
"""The program, and the variable by which the script asks it."""

WHOLE = ('string split ","', 'string split --max 1 ","')
"""Click's script for fish cuts what is said of an option at its first comma."""
