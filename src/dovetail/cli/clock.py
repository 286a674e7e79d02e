"""What time it is for a command."""

import time

from dovetail.bitcoin import UnixTime


def clock() -> UnixTime:
    """The system's clock."""
    return UnixTime(int(time.time()))
