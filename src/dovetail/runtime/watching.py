"""What the chain says about a session's money, and what one process remembers of it."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from dovetail.bitcoin import FeeRate, OutPoint, Script, Transaction, Txid, UnixTime
from dovetail.errors import ChainError, DovetailError
from dovetail.protocol.settlement import Settlement, classify
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.wallets.ports import Accepted, Chain, Payment, Spend, Unknown

logger = logging.getLogger(__name__)

Watched: TypeAlias = (
    receiver.Monitor | receiver.PendingFallback | sender.Monitor | sender.PendingFallback
)


class Kind(StrEnum):
    """What a transaction that spends a contested outpoint is to its session."""

    PAYJOIN = "payjoin"
    FALLBACK = "fallback"
    REVOCATION = "revocation"
    """It pays back to the sender's own wallet."""
    STRANGER = "stranger"
    """It is neither; it may replace one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What spends the contested outpoints now, as the chain source has it.

    `depth` is 0 in the mempool; `wanted` is the depth that ends the session. `receded` says that
    it lay deeper before: a reorganisation took blocks away.
    """

    kind: Kind
    txid: Txid
    depth: int
    wanted: int
    gone: bool = False
    """Whether it was seen, and nothing spends the outpoints any more."""
    receded: bool = False


@dataclass(frozen=True, slots=True)
class LowFee:
    """The fallback pays less than is asked for at present, so that it may wait for long."""

    paid: FeeRate
    asked: FeeRate


@dataclass(slots=True)
class Watch:
    """What one process has seen of a session; whatever has to outlive it is in the log."""

    sighting: Sighting | None = None
    payjoin: Transaction | None = None
    """The payjoin with the sender's signatures, as it was seen: it can be broadcast again."""
    low_fee: LowFee | None = None
    fee_told_at: UnixTime | None = None
    trouble: DovetailError | None = None
    """What the last try failed of; None when it did not."""
    unreachable: Reason | None = None
    """Who kept the other party out until the expiration, where it was that."""

    def see(self, state: Watched, spend: Spend | None, *, owned: Collection[Script] = ()) -> None:
        """Note what spends the contested outpoints; `owned` are the wallet's among its outputs."""
        before = self.sighting
        if spend is None:
            if before is not None and not before.gone:
                self.sighting = Sighting(
                    kind=before.kind,
                    txid=before.txid,
                    depth=0,
                    wanted=before.wanted,
                    gone=True,
                    receded=before.depth > 0 or before.receded,
                )
                self._log()
            return
        transaction = spend.transaction
        kind = kind_of(state, transaction, owned=owned)
        if kind is Kind.PAYJOIN:
            self.payjoin = transaction
        fell = before is not None and (
            spend.depth < before.depth or (before.receded and spend.depth == 0)
        )
        self.sighting = Sighting(
            kind=kind,
            txid=transaction.txid,
            depth=spend.depth,
            wanted=state.created.depth,
            receded=fell,
        )
        if self.sighting != before:
            self._log()

    def _log(self) -> None:
        seen = self.sighting
        if seen is not None:
            where = "gone" if seen.gone else f"{seen.depth} deep"
            logger.info("A %s is %s%s", seen.kind, where, ", reorganised" * seen.receded)


def sighted(seen: Sighting) -> str:
    """What the chain shows of a session's money, in one sentence."""
    name = _SIGHTED[seen.kind]
    if seen.gone:
        how = "A reorganisation removed" if seen.receded else "The network dropped"
        return f"{how} {name}; the session was not closed, and goes on watching."
    if seen.depth == 0 and seen.receded:
        return (
            f"A reorganisation took {name} out of the chain, and it waits to be mined again; the"
            " session was not closed before."
        )
    if seen.depth == 0:
        return f"The network has {name}; it waits to be mined."
    again = "A reorganisation moved it: " if seen.receded else ""
    name = name if again else name[:1].upper() + name[1:]
    return f"{again}{name} has {seen.depth} of {seen.wanted} confirmation{'s' * (seen.wanted > 1)}."


_SIGHTED = {
    Kind.PAYJOIN: "the payjoin",
    Kind.FALLBACK: "the ordinary payment",
    Kind.REVOCATION: "the transaction that takes the coins back",
    Kind.STRANGER: "a transaction that is no part of this session, but spends its coins,",
}


def kind_of(state: Watched, spend: Transaction, *, owned: Collection[Script] = ()) -> Kind:
    """What `spend` is, whatever its signatures look like: payjoin, fallback or neither."""
    proposal = state.proposal
    payjoin = None if proposal is None else proposal.unsigned_transaction
    match classify(spend, payjoin=payjoin, fallback=state.fallback):
        case Settlement.PAYJOIN:
            return Kind.PAYJOIN
        case Settlement.FALLBACK:
            return Kind.FALLBACK
        case _:
            pays_back = isinstance(state, sender.Monitor | sender.PendingFallback) and all(
                output.script_pubkey in owned for output in spend.outputs
            )
            return Kind.REVOCATION if pays_back else Kind.STRANGER


def deepest_spend(chain: Chain, contested: Iterable[OutPoint]) -> Spend | None:
    """The transaction that spends a contested outpoint, the deepest if there are several.

    Different ones are possible when somebody else spends some of them.
    """
    spends = chain.spends_of(tuple(contested))
    return max(spends.values(), key=lambda spend: spend.depth, default=None)


def taken(chain: Chain, transaction: Transaction) -> bool:
    """Broadcast it, and tell whether the network has it now; False where it refuses.

    Raises `ChainError` where that stays open.
    """
    answer = chain.broadcast(transaction)
    if isinstance(answer, Unknown):
        raise ChainError(UNTOLD)
    return isinstance(answer, Accepted)


UNTOLD = (
    "The chain source does not say whether the network took the transaction: it is looked for, and"
    " broadcast again."
)


def direct_payment(chain: Chain, script: Script, amount: int | None) -> Payment | None:
    """The deepest payment of at least `amount` to an address; None: there is none.

    Ask before an Original was accepted: afterwards its fallback or payjoin would be found.
    """
    least = amount or 1
    paid = (payment for payment in chain.payments_to(script) if payment.amount >= least)
    return max(paid, key=lambda payment: payment.depth, default=None)
