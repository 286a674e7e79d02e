"""A Payjoin URI as a QR code, drawn on the terminal or written to a file."""

from pathlib import Path

from dovetail.cli import qr
from dovetail.cli.output import Screen
from dovetail.qr import code


def draw(uri: str, screen: Screen, *, words: str) -> None:
    """Draw the code where it fits, after these words; else say what it needs.

    Nothing in a pipe, where nobody scans.
    """
    if not screen.live:
        return
    found = code(uri)
    why = qr.lacking(found)
    if why is not None:
        screen.say(why)
        return
    screen.say(words)
    screen.draw(qr.drawn(found))


def write(uri: str, path: Path, screen: Screen) -> None:
    """Write the code to a file, and say so; or why it could not be written."""
    try:
        qr.write(code(uri), path)
    except OSError as error:
        screen.say(f"The QR code could not be written ({error.strerror}).", fg="yellow")
    else:
        screen.say(f"The QR code is in {path}.")
