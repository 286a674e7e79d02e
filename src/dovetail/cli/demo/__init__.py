"""`dovetail demo`: a whole payjoin on this machine, told step by step."""

import click


@click.command(short_help="Watch a whole payjoin on this machine, told step by step.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Keep what the demo wrote in this new folder, to look into it afterwards.",
)
@click.option(
    "-v", "--verbose", count=True, help="Have every process log more; look at it with --keep."
)
def demo(keep: str | None, verbose: int) -> int:
    """Watch a whole payjoin on this machine, told step by step.

    Sender, receiver, mailroom and chain are separate processes that share nothing but HTTP and
    the chain. No real money, nothing outside this machine. The exit code is 0 only if the
    payjoin is on the chain.
    """
    from dovetail.cli.demo.story import tell  # noqa: PLC0415 - --help needs none of it

    return tell(keep, verbose)
