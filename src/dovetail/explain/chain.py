"""Sightings on the chain, and fees, in sentences."""

from dovetail.runtime.chain_watch import LowFee, Rival
from dovetail.sessions.overpayment import surplus_seen
from dovetail.sessions.sightings import Sighting, SpendKind


def _partly(seen: Sighting) -> str:
    how = (
        "not confirmed yet"
        if seen.depth == 0
        else f"with {seen.depth} of {seen.wanted} confirmation{'s' * (seen.wanted > 1)}"
    )
    again = "After a reorganisation " if seen.receded else ""
    return f"{again}{seen.came:,} of {seen.asked:,} sats have come to the address, {how}."


def describe_sighting(seen: Sighting, *, ended: bool = False) -> str:
    """Describe a sighting of a session's money; `ended` is whether the session has ended."""
    if seen.kind is SpendKind.DOUBLE_SPEND:
        return _DOUBLE_SPENT
    if seen.falls_short and not seen.gone:
        return _partly(seen)
    surplus = surplus_seen(seen)
    moved = _moved(seen, ended=ended)
    return moved if surplus is None else f"{moved} {surplus.words}"


def _moved(seen: Sighting, *, ended: bool) -> str:
    name = _SIGHTED[seen.kind]
    if seen.gone:
        how = "A reorganisation removed" if seen.receded else "The network dropped"
        goes_on = "" if ended else "; the session is open and keeps watching"
        return f"{how} {name}{goes_on}."
    if seen.depth == 0 and seen.receded:
        return (
            f"A reorganisation took {name} out of the chain; it waits to be mined again. The"
            " session is still open."
        )
    if seen.depth == 0:
        return f"The network has {name}; it waits to be mined."
    again = "A reorganisation moved it: " if seen.receded else ""
    name = name if again else name[:1].upper() + name[1:]
    return f"{again}{name} has {seen.depth} of {seen.wanted} confirmation{'s' * (seen.wanted > 1)}."


_DOUBLE_SPENT = "A payment came that does not count: another transaction spends its coins."
_SIGHTED = {
    SpendKind.PAYJOIN: "the payjoin",
    SpendKind.FALLBACK: "the ordinary payment",
    SpendKind.PAYMENT: "another transaction that makes this payment",
    SpendKind.REVOCATION: "the transaction that takes the coins back",
    SpendKind.UNRECOGNIZED: "a transaction from outside that spends this session's coins",
    SpendKind.DIRECT: "an ordinary payment to the address",
}


def low_fee_words(found: LowFee) -> str:
    """One sentence for an ordinary payment with a low fee."""
    return (
        f"The ordinary payment pays {found.paid} while {found.asked} is the going rate: it may"
        " wait long, and is broadcast again until it confirms."
    )


def rival_words(rival: Rival) -> str:
    """One sentence for the fee of a transaction that keeps the ordinary payment out."""
    if rival.rate is None:
        return f"Its fee rate is not known; the ordinary payment pays {rival.ours}."
    can = "and may replace it" if rival.ours > rival.rate else "too little to replace it"
    return f"It pays {rival.rate}, the ordinary payment {rival.ours}, {can}."
