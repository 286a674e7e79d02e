"""The one source of randomness, injectable so that a transcript can be replayed byte for byte."""

import secrets
from collections.abc import Iterable
from hashlib import shake_256
from typing import Protocol, TypeVar

T = TypeVar("T")

_SURPLUS_BYTES = 16


class Entropy(Protocol):
    """A source of uniformly random bytes."""

    def __call__(self, size: int, /) -> bytes:
        """Return `size` uniformly random bytes, never the same ones on purpose."""
        ...


def system(size: int, /) -> bytes:
    """Return `size` random bytes from the operating system: the default everywhere."""
    return secrets.token_bytes(size)


class SeededEntropy:
    """A deterministic source for tests and for replaying transcripts; never for live keys.

    Draw number i (from 0) is SHAKE-256 of i as 8 big-endian bytes, followed by the seed.
    """

    __slots__ = ("_draws", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._draws = 0

    def __call__(self, size: int, /) -> bytes:
        """Return the next `size` bytes; equal seeds give equal draws in equal order."""
        index = self._draws
        self._draws = index + 1
        return shake_256(index.to_bytes(8) + self._seed).digest(size)


def below(entropy: Entropy, bound: int) -> int:
    """Draw a uniform integer in [0, bound), for a positive bound, in a single draw.

    16 surplus bytes keep the bias under 2**-128. Rejection would remove it altogether, but would
    draw an unbounded number of times from a bad source and make transcripts hard to replay.
    """
    size = (bound.bit_length() + 7) // 8 + _SURPLUS_BYTES
    return int.from_bytes(entropy(size)) % bound


def shuffled(entropy: Entropy, items: Iterable[T]) -> tuple[T, ...]:
    """Return the items in a uniformly random order (Fisher and Yates)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        chosen = below(entropy, last + 1)
        result[last], result[chosen] = result[chosen], result[last]
    return tuple(result)
