"""The clock of the commands."""

import time

from dovetail.bitcoin import UnixTime


def clock() -> UnixTime:
    """The system's clock."""
    return UnixTime(int(time.time()))
