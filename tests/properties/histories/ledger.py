"""What a run has looked at, and what it found: the rules by name."""

from collections import Counter

RULES = ("M1", "M2", "M3", "M4", "M5", "P1", "P2", "P3", "P4", "P5")
INVARIANTS = {
    "coins": "no coin of the receiver is held by a session that can never confirm",
    "rate": "the sender pays at least the fee that it demanded",
    "end": "no session stays open once the chain is final for its outpoints",
    "command": "in every state at least one command does something",
    "told": "what paid the invoice is told as paid, and nothing else is",
    "surplus": "what came beyond what was asked for is told, and nothing else is",
    "words": "a refusal is a refusal in any server's words, and nothing else is",
    "again": "an invoice that is paid, or may be, is not paid again in any spelling",
}
"""What follows from the rules and is held on its own, each in a sentence."""

checked: Counter[str] = Counter()
"""How often each rule was held against a history, in this process."""


class Violation(AssertionError):
    """A history in which a rule was broken."""


def require(rule: str, holds: object, what: str) -> None:
    """Count a look at `rule`; raise `Violation` where it does not hold."""
    checked[rule] += 1
    if not holds:
        raise Violation(f"{rule}: {what}")
