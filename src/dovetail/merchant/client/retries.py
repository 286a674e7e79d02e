"""When a call is repeated, and after which pause."""

from dataclasses import dataclass
from typing import Any

from dovetail.crypto.entropy import Entropy, below, system
from dovetail.merchant.client.calls import Call
from dovetail.merchant.client.errors import ShopProblem, ShopUnreachable

Failure = ShopProblem | ShopUnreachable

_BUSY = 429
_PASSING = frozenset({408, 500, 502, 503, 504})
_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is tried, and the pauses between two attempts in seconds.

    A pause doubles with each attempt, and half of it is random.
    """

    attempts: int = 4
    first_pause: float = 0.5
    longest_pause: float = 30.0
    """A shop that asks to wait longer is not asked again: the caller gets its answer."""

    def pause(self, call: Call[Any], failure: Failure, attempt: int) -> float | None:
        """Return the pause after the attempt of this number, from 1; None: it is the last one."""
        if attempt >= self.attempts or not _may_repeat(call, failure):
            return None
        asked = failure.retry_after if isinstance(failure, ShopProblem) else None
        if asked is not None:
            return asked if asked <= self.longest_pause else None
        return self.backoff(attempt)

    def backoff(self, attempt: int, *, entropy: Entropy = system) -> float:
        """The pause after so many attempts that failed."""
        whole: float = min(self.first_pause * 2 ** (attempt - 1), self.longest_pause)
        return whole * (1 + below(entropy, _PARTS) / _PARTS) / 2


def may_pass(failure: Failure) -> bool:
    """Whether a later attempt may help."""
    if isinstance(failure, ShopUnreachable):
        return failure.passing
    return failure.status == _BUSY or failure.status in _PASSING


def _may_repeat(call: Call[Any], failure: Failure) -> bool:
    """Whether a call may be sent again: nothing is done twice that must be done once."""
    nothing_done = failure.status == _BUSY if isinstance(failure, ShopProblem) else not failure.sent
    return may_pass(failure) and (call.repeats or nothing_done)
