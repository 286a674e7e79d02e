"""A clock that a test moves."""

from dovetail.bitcoin import UnixTime


class ManualClock:
    """Stands still until it is moved: the `clock` of an `Agent`, of a store or of a `Transition`.

    It tells the time by which sessions expire and fallbacks are due. The pauses between two looks
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
