"""A clock that stands still until a test moves it."""

from dataclasses import dataclass

from dovetail.bitcoin import UnixTime

NOW = UnixTime(1_800_000_000)


@dataclass
class Clock:
    """Stands still until it is told the time."""

    now: int = NOW

    def __call__(self) -> UnixTime:
        return UnixTime(self.now)

    def pass_by(self, seconds: int) -> None:
        self.now += seconds
