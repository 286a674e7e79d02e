"""A clock that a test moves."""

from dovetail.bitcoin import UnixTime


class ManualClock:
    """A clock that stands still until it is moved, for an `Agent`, a store or a `Transition`.

    It gives the time at which sessions expire and fallbacks are due. The pauses between two checks
    are real seconds: a `Policy` sets them, such as `Policy(watch_interval=0.01, poll_pause=0.01)`.
    """

    def __init__(self, now: int = 1_800_000_000) -> None:
        """Begin at `now`, in seconds since 1970."""
        self._now = now

    def __call__(self) -> UnixTime:
        """The time."""
        return UnixTime(self._now)

    def advance(self, seconds: int) -> UnixTime:
        """Let so many seconds pass, and return the time after them; raises `ValueError` below 0."""
        if seconds < 0:
            raise ValueError("Time does not run backwards.")
        self._now += seconds
        return self()
