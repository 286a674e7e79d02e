"""The command line: one file per command, and nothing heavy until a command runs."""

import sys


def main() -> None:
    """Run `dovetail` with the arguments of this process, and exit with the documented code."""
    try:
        # A bare install has no click: then a sentence serves better than a traceback.
        from dovetail.cli.app import run  # noqa: PLC0415 - see above
    except ModuleNotFoundError:
        sys.exit("Error: The command line is an extra: pip install 'dovetail-payjoin[cli]'.")
    run()
