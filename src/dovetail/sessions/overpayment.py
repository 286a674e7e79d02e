"""Overpayment: a receiver's address got more than was asked for, as if it was paid twice."""

from dataclasses import dataclass

from dovetail.bitcoin import Sats, Transaction
from dovetail.protocol.settlement import Settlement, classify, paid_to
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.amounts import by_payjoin_of
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.sightings import Sighting, SpendKind


@dataclass(frozen=True, slots=True)
class Surplus:
    """The total received, the amount asked for, and the transactions beside the payment."""

    received: Sats
    asked: Sats | None
    """None where no amount was named, so that there is no overpayment."""
    txids: tuple[str, ...]

    @property
    def words(self) -> str:
        """The same in a sentence."""
        beyond = self.too_much
        more = "" if beyond is None else f", {beyond:,} more than was asked for"
        which = ", ".join(self.txids)
        return f"{self.received:,} sats have come to the address in all{more}: also by {which}."

    @property
    def advice(self) -> str | None:
        """Advice to the user in a sentence; None where no amount was named."""
        if self.too_much is None:
            return None
        # Only the payers know which payment was the extra one: parts may overshoot together.
        return (
            f"Give {self.too_much:,} sats back to whoever paid too much, and ask them for an"
            " address first."
        )

    @property
    def too_much(self) -> Sats | None:
        """The satoshis received beyond the amount asked for."""
        return None if self.asked is None else self.received - self.asked


def surplus_of(outcome: Outcome, *, asked: int | None, payment: int | None) -> Surplus | None:
    """The surplus at the end of the session; `payment` is what the payment itself paid."""
    match outcome:
        case outcomes.Success(beside=beside, others=others) if beside:
            return _beyond((payment or 0) + beside, asked, others)
        case outcomes.FallbackBroadcasted(beside=beside, others=others) if beside:
            return _beyond((payment or 0) + beside, asked, others)
        case outcomes.PaidDirectly(received=int(received), beyond=beyond):
            named = beyond if asked is None else beyond or (outcome.txid, *outcome.others)
            return _beyond(received, asked, named)
        case _:
            return None


def surplus_seen(seen: Sighting | None) -> Surplus | None:
    """The surplus that the chain shows while a payment is on its way."""
    if seen is None or seen.gone or seen.came is None:
        return None
    named = tuple(str(txid) for txid in seen.beside)
    if seen.kind is SpendKind.DIRECT and seen.asked is not None:
        named = named or (str(seen.txid),)
    return _beyond(seen.came, seen.asked, named)


def brought_by(session: receiver.PendingFallback | receiver.Monitor, spend: Transaction) -> Sats:
    """The amount a spend of the contested outpoints pays the receiver, less the coins it added."""
    script, proposal = session.address.script_pubkey, session.proposal
    if proposal is None or (
        classify(spend, payjoin=proposal.unsigned_transaction, fallback=None)
        is not Settlement.PAYJOIN
    ):
        return paid_to(spend, script)
    return by_payjoin_of(session.payload, proposal, script).amount


def _beyond(received: int, asked: int | None, txids: tuple[str, ...]) -> Surplus | None:
    if not txids or (asked is not None and received <= asked):
        return None
    return Surplus(Sats(received), None if asked is None else Sats(asked), txids)
