"""Amounts, weights, fee rates and time.

BIP 141 (weight) and BIP 21 / BIP 321 (decimal amounts).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from operator import index
from typing import ClassVar, NewType, Self

from dovetail.errors import InvalidAmount

UnixTime = NewType("UnixTime", int)
"""Seconds since 1970 in UTC: the only time the core knows."""

MAX_SATS = 2_100_000_000_000_000
_SATS_PER_BTC_DIGITS = 8
_KWU_PER_VB = 250  # 1 sat/vB is 250 sat per 1000 weight units
_MAX_FEE_RATE = 2**64 - 1
_MAX_DECIMAL_LENGTH = 64
_DECIMAL = re.compile(r"([0-9]*)(?:\.([0-9]*))?", re.ASCII)


class Sats(int):
    """An amount in satoshis, from 0 to 21 million bitcoins.

    Sums and differences with integers are checked and stay `Sats`.
    Raises `InvalidAmount` when the result is out of range.
    """

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Check the range; a float or text is a `TypeError`."""
        if type(value) is not int:
            value = index(value)
        if not 0 <= value <= MAX_SATS:
            raise InvalidAmount("An amount must lie between 0 and 21 million bitcoins; check it.")
        return int.__new__(cls, value)

    def __add__(self, other: int) -> Self:
        return type(self)(int(self) + other)

    __radd__ = __add__

    def __sub__(self, other: int) -> Self:
        return type(self)(int(self) - other)

    def __rsub__(self, other: int) -> Self:
        return type(self)(other - int(self))

    @classmethod
    def sum(cls, amounts: Iterable[int]) -> Self:
        """The sum of some amounts; raises `InvalidAmount` when it is out of range."""
        return cls(sum(map(int, amounts)))

    @classmethod
    def from_btc(cls, value: str | Decimal) -> Self:
        """Read bitcoins in decimal, with `.` and neither sign nor exponent (BIP 321, amount).

        Raises `InvalidAmount` on other text and on fractions of a satoshi.
        """
        digits, places = _decimal(value)
        sats, rest = divmod(digits * 10**_SATS_PER_BTC_DIGITS, 10**places)
        if rest:
            raise InvalidAmount("An amount has more than 8 decimals; round it to satoshis.")
        return cls(sats)

    def to_btc(self) -> str:
        """Bitcoins in decimal, without an exponent and with no more decimals than needed."""
        return _shortest(int(self), _SATS_PER_BTC_DIGITS)


class Weight(int):
    """Weight units, never negative (BIP 141)."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Check the sign; a float or text is a `TypeError`."""
        if index(value) < 0:
            raise InvalidAmount("A weight cannot be negative; check what was subtracted.")
        return int.__new__(cls, value)

    def __add__(self, other: int) -> Self:
        return type(self)(int(self) + other)

    __radd__ = __add__

    @property
    def vbytes(self) -> int:
        """Virtual bytes: a quarter of the weight, rounded up (BIP 141)."""
        return -(-int(self) // 4)


@dataclass(frozen=True, slots=True, order=True)
class FeeRate:
    """A fee rate in whole satoshis per 1000 weight units (1 sat/vB is 250).

    Raises `InvalidAmount` outside of 0 to 2**64 - 1.
    """

    sat_per_kwu: int

    BROADCAST_MIN: ClassVar["FeeRate"]
    """1 sat/vB, below which nodes have long refused to relay."""
    RELAY_MIN: ClassVar["FeeRate"]
    """0.1 sat/vB, below which nodes refuse to relay by default from Bitcoin Core 29.1 on."""

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.sat_per_kwu <= _MAX_FEE_RATE:
            raise InvalidAmount("A fee rate is out of range; give it in sat/vB.")

    @classmethod
    def from_sat_per_vb(cls, value: float | str | Decimal) -> Self:
        """Read sat/vB, rounded up to the next whole sat per 1000 weight units.

        Text must be plain decimal, with neither sign nor exponent. Raises `InvalidAmount`.
        """
        digits, places = _decimal(value)
        return cls(-(-digits * _KWU_PER_VB // 10**places))

    @classmethod
    def of(cls, fee: Sats, weight: Weight) -> Self:
        """The rate a transaction pays, rounded down; raises `InvalidAmount` without weight."""
        if weight <= 0:
            raise InvalidAmount("A fee rate needs a weight above zero; measure it first.")
        return cls(int(fee) * 1000 // weight)

    @property
    def sat_per_vb(self) -> Decimal:
        """The exact rate in sat/vB."""
        return Decimal(_shortest(self.sat_per_kwu * 4, 3))

    def fee(self, weight: Weight) -> Sats:
        """The fee for a weight, rounded up; raises `InvalidAmount` when out of range."""
        return Sats(-(-self.sat_per_kwu * int(weight) // 1000))

    def __str__(self) -> str:
        return f"{self.sat_per_vb:,f} sat/vB"


FeeRate.BROADCAST_MIN = FeeRate(_KWU_PER_VB)
FeeRate.RELAY_MIN = FeeRate(_KWU_PER_VB // 10)


def _decimal(value: float | str | Decimal) -> tuple[int, int]:
    """Read a plain decimal exactly, as an integer and its number of decimal places."""
    if isinstance(value, int):
        return value, 0
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        # A Decimal such as 1E+999999999 would not fit into memory when written out.
        plain = value.is_finite() and abs(value.adjusted()) < _MAX_DECIMAL_LENGTH
        value = format(value, "f") if plain else ""
    found = _DECIMAL.fullmatch(value) if len(value) <= _MAX_DECIMAL_LENGTH else None
    whole, fraction = (found[1], found[2] or "") if found else ("", "")
    if not whole + fraction:
        raise InvalidAmount("A number is not a plain decimal such as 0.001; write it so.")
    return int(whole + fraction), len(fraction)


def _shortest(units: int, places: int) -> str:
    """Write a count of units of 10**-places in plain decimal, without trailing zeros."""
    whole, fraction = divmod(units, 10**places)
    return f"{whole}.{fraction:0{places}}".rstrip("0").rstrip(".")
