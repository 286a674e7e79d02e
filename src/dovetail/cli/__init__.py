"""The command line: one file per command, and nothing heavy until a command runs."""


def main() -> None:
    """Run `dovetail` with the arguments of this process, and exit with the documented code."""
    # Importing this package costs nothing, so that a missing extra gets a sentence instead.
    from dovetail.cli.app import run  # noqa: PLC0415 - see above

    run()
