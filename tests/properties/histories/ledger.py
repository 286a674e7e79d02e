"""What a run has looked at, and what it found: the rules by name."""

from collections import Counter

RULES = ("M1", "M2", "M3", "M4", "M5", "P1", "P2", "P3", "P4", "P5")

checked: Counter[str] = Counter()
"""How often each rule was held against a history, in this process."""


class Violation(AssertionError):
    """A history in which a rule was broken."""


def require(rule: str, holds: object, what: str) -> None:
    """Count a look at `rule`; raise `Violation` where it does not hold."""
    checked[rule] += 1
    if not holds:
        raise Violation(f"{rule}: {what}")
