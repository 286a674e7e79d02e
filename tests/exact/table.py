"""Makes many payjoins and says in a table what came of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction

from tests.exact.payjoins import Case, Made, make
from tests.exact.wallets import KINDS

from dovetail.bitcoin.script import ScriptType
from dovetail.errors import DovetailError

_NAMES = {ScriptType.P2SH: "nested"}
_ROW = "{:<8} {:<8} {:>9} {:>8} {:>9} {:>9} {:>9} {:>7} {:>7}"
_HEADINGS = (
    "sender", "receiver", "payjoins", "covered", "exact", "lowest", "of rate", "short", "below"
)  # fmt: skip


class Failed(Exception):
    """A payjoin that a check refused, or that could not be made."""


def tried(some: Iterable[Case]) -> list[Made]:
    """Make them all; raises `Failed` with the first case that a check refuses."""
    made: list[Made] = []
    for case in some:
        try:
            made.append(make(case))
        except (AssertionError, DovetailError) as error:
            raise Failed(f"{case}: {error}") from error
    return made


def report(made: Sequence[Made]) -> int:
    pairs: dict[tuple[ScriptType, ScriptType], list[Made]] = defaultdict(list)
    for each in made:
        pairs[each.case.sender, each.case.receiver].append(each)
    print(_ROW.format(*_HEADINGS))
    for sender in KINDS:
        for receiver in KINDS:
            print(_row(sender, receiver, pairs[sender, receiver]))
    faults = [each for each in made if each.short or each.below]
    for each in faults[:20]:
        print(f"{each.case}: {each.shortfall} sats short, fee {each.fee}, {each.shares}")
    paying = [each for each in made if each.shortfall]
    print(
        f"\n{len({each.case.rate for each in made})} fee rates, one to three inputs a side."
        f" In {len(paying)} the sender did not offer to pay for all that was added, and the"
        " receiver paid the rest and was told; so it did where its node relays from the very rate"
        f" of the Original, and the sender's rules forbid to take more: {_forbidden(made)}."
        " Where the fee is not exact, what is missing is"
        " rounding: marker, flag and empty witnesses, which no sender lets be taken; what BIP 78"
        " rounds to whole virtual bytes (version 1); a signature that came out longer."
    )
    short = sum(each.short for each in made)
    below = sum(each.below for each in made)
    print(f"{len(made)} payjoins, {short} short, {below} below the chosen rate")
    return 1 if short or below or not made else 0


def _forbidden(made: Sequence[Made]) -> str:
    """What receivers paid of a weight that was offered to be paid."""
    losses = [each.shortfall for each in made if each.offered and not each.covered]
    return f"at most {max(losses, default=0)} sats, in {len(losses)}"


def _row(sender: ScriptType, receiver: ScriptType, made: Sequence[Made]) -> str:
    lowest = min(made, key=_ratio)
    return _ROW.format(
        _named(sender),
        _named(receiver),
        len(made),
        sum(each.covered for each in made),
        sum(each.exact for each in made),
        f"{float(_rate(lowest)):.3f}",
        f"{float(lowest.case.rate.sat_per_vb):.3f}",
        sum(each.short for each in made),
        sum(each.below for each in made),
    )


def _rate(made: Made) -> Fraction:
    return Fraction(4 * made.fee, made.payjoin.weight)


def _ratio(made: Made) -> Fraction:
    return _rate(made) / Fraction(made.case.rate.sat_per_vb)


def _named(kind: ScriptType) -> str:
    return _NAMES.get(kind, kind.name.lower())
