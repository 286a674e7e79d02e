"""`dovetail demo`: a whole payjoin on this machine, told step by step."""

import click

from dovetail.cli.help_layout import command


@command(
    short_help="Watch a whole payjoin on this machine, told step by step.",
    examples={
        "dovetail demo": "Watch a payjoin.",
        "dovetail demo --kill": "Watch three, with both parties killed on their way.",
    },
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Keep what the demo wrote in this new folder, to look into it afterwards.",
)
@click.option(
    "-v", "--verbose", count=True, help="Have every process log more; look at it with --keep."
)
@click.option(
    "--kill",
    is_flag=True,
    help="Pay three times, with both parties killed at a random step and resumed.",
)
def demo(keep: str | None, verbose: int, *, kill: bool) -> int:
    """Watch a whole payjoin on this machine, told step by step.

    Sender, receiver, mailroom and chain are separate processes that share nothing but HTTP and
    the chain. No real money, nothing outside this machine. The exit code is 0 only if the
    payjoin is on the chain, or, with --kill, if each payment was made once.
    """
    if kill:
        from dovetail.cli.demo.kills import tell_kills

        return tell_kills(keep, verbose)
    from dovetail.cli.demo.script import tell

    return tell(keep, verbose)
