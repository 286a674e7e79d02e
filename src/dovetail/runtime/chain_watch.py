"""The chain's view of a session's money, as one process remembers it."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dovetail.bitcoin import FeeRate, Sats, Script, Transaction, Txid, UnixTime
from dovetail.errors import DovetailError
from dovetail.protocol.settlement import Due, Settlement, classify
from dovetail.runtime.wakeup import News
from dovetail.sessions import receiver, sender
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.overpayment import brought_by
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.wallets.ports import Payment, Spend

logger = logging.getLogger(__name__)

_WAITING = (sender.PostingOriginal, sender.PollingForProposal)
_NOTHING = Receipts()

Watched: TypeAlias = (
    receiver.Monitor
    | receiver.PendingFallback
    | sender.Monitor
    | sender.PendingFallback
    | sender.PostingOriginal
    | sender.PollingForProposal
)


@dataclass(frozen=True, slots=True)
class LowFee:
    """The fallback's fee rate is below the present estimate, so that it may wait for long."""

    paid: FeeRate
    asked: FeeRate


@dataclass(frozen=True, slots=True)
class Rival:
    """A transaction in the mempool that spends the sender's coins and is no payment.

    `rate` is its fee rate, None where the chain source cannot tell; `ours` is that of the ordinary
    payment, which it keeps out.
    """

    txid: Txid
    rate: FeeRate | None
    ours: FeeRate


@dataclass(slots=True)
class ChainWatch:
    """One process's view of a session; all that has to outlive the process is in the log."""

    sighting: Sighting | None = None
    payjoin: Transaction | None = None
    """The payjoin with the sender's signatures, as it was seen: it can be broadcast again."""
    low_fee: LowFee | None = None
    fee_told_at: UnixTime | None = None
    broadcasting_since: UnixTime | None = None
    """From when a payjoin is broadcast, where its log does not say."""
    received: Receipts = _NOTHING
    """The payments to the receiver's address by other transactions."""
    rival: Rival | None = None
    tried_at: UnixTime | None = None
    """When the fallback was last broadcast against a rival."""
    trouble: DovetailError | None = None
    """The error of the last try; None where it succeeded."""
    unreachable: Reason | None = None
    """The failure that kept the other party out until the expiration, if one did."""
    paid: tuple[Payment, ...] | None = None
    """The payments to its address at the last check; None: a check is due."""
    looked_at: float = 0.0
    """When that was, by the event loop's clock."""
    gave_back: bool = False
    """Whether this process has given back the coins that no sender was shown."""
    news: News = field(default_factory=News)
    """Set once the log may have grown without us, so that a waiting step reads it."""
    tell: Callable[[], None] = lambda: None
    """Called for each new sighting."""

    def see(
        self,
        state: Watched,
        spend: Spend | None,
        *,
        owned: Collection[Script] = (),
        received: Receipts = _NOTHING,
    ) -> None:
        """Note the spend of the contested outpoints; `owned` are the wallet's among its outputs.

        `received` is what other transactions paid to a receiver's address.
        """
        if spend is None:
            self._lose(direct=False)
            return
        kind = kind_of(state, spend.transaction, owned=owned)
        if kind is SpendKind.PAYJOIN:
            self.payjoin = spend.transaction
        found = Sighting(
            kind=kind,
            txid=spend.transaction.txid,
            depth=spend.depth,
            wanted=state.created.depth,
        )
        if isinstance(state, receiver.Monitor | receiver.PendingFallback) and received.txids:
            asked = None if state.created.amount is None else Sats(state.created.amount)
            came = brought_by(state, spend.transaction) + received.amount
            found = replace(found, came=came, asked=asked, beside=received.named)
        self._note(self._rated(found))

    def see_rival(self, rival: Rival | None) -> None:
        """Note the rival that keeps the ordinary payment out, if any, and its fee rate."""
        self.rival = rival
        if self.sighting is not None and not self.sighting.gone:
            self._note(self._rated(self.sighting))

    def _rated(self, found: Sighting) -> Sighting:
        rival = self.rival
        named = rival is not None and rival.txid == found.txid and not found.depth
        return replace(found, rate=rival.rate if rival is not None and named else None)

    def see_double_spend(self, spend: Spend, *, wanted: int) -> None:
        """Note a spend of a payment's coins that was there when the payment came to a receiver."""
        self._note(
            Sighting(
                kind=SpendKind.DOUBLE_SPEND,
                txid=spend.transaction.txid,
                depth=spend.depth,
                wanted=wanted,
            )
        )

    def see_received(self, received: Receipts, *, wanted: int, asked: int | None) -> None:
        """Note what other transactions paid to the receiver's address, in full or in part."""
        self.received = received
        if not received.txids:
            self._lose(direct=True)
            return
        self._note(seen_directly(received, wanted=wanted, asked=asked))

    def _lose(self, *, direct: bool) -> None:
        """Nothing is there; a sighting of the other sort stays as it is."""
        before = self.sighting
        if before is not None and (before.kind is SpendKind.DIRECT) is direct and not before.gone:
            receded = before.depth > 0 or before.receded
            self._tell(replace(before, depth=0, gone=True, receded=receded))

    def _note(self, found: Sighting) -> None:
        before = self.sighting
        fell = (
            before is not None
            and _same_money(before, found)
            and (found.depth < before.depth or (before.receded and found.depth == 0))
        )
        found = replace(found, receded=fell)
        if found != before:
            self._tell(found)

    def _tell(self, found: Sighting) -> None:
        self.sighting = found
        where = "gone" if found.gone else f"{found.depth} deep"
        logger.info("A %s is %s%s", found.kind, where, ", reorganised" * found.receded)
        self.tell()


def seen_directly(received: Receipts, *, wanted: int, asked: int | None) -> Sighting:
    """The sighting of direct payments to an address; raises `IndexError` for none."""
    return Sighting(
        kind=SpendKind.DIRECT,
        txid=received.txids[0],
        depth=received.depth if received.full else received.rest,
        wanted=wanted,
        came=received.amount,
        asked=None if asked is None else Sats(asked),
        beside=received.beyond if received.full else received.txids[1:],
    )


def _same_money(before: Sighting, found: Sighting) -> bool:
    """Whether less depth is a reorganisation, and not the effect of another payment besides."""
    if SpendKind.DIRECT not in (before.kind, found.kind):
        return True
    more = before.came is not None and found.came is not None and found.came > before.came
    return before.kind is found.kind and not more


def kind_of(state: Watched, spend: Transaction, *, owned: Collection[Script] = ()) -> SpendKind:
    """The kind of `spend` in a session; its signatures do not matter."""
    match _settlement(state, spend):
        case Settlement.PAYJOIN:
            return SpendKind.PAYJOIN
        case Settlement.FALLBACK:
            return SpendKind.FALLBACK
        case Settlement.PAYMENT:
            return SpendKind.PAYMENT
        case _:
            ours = not isinstance(state, receiver.Monitor | receiver.PendingFallback)
            pays_back = ours and all(output.script_pubkey in owned for output in spend.outputs)
            return SpendKind.REVOCATION if pays_back else SpendKind.UNRECOGNIZED


def _settlement(state: Watched, spend: Transaction) -> Settlement:
    proposal = None if isinstance(state, _WAITING) else state.proposal
    if not isinstance(state, receiver.Monitor | receiver.PendingFallback):
        return sender.classify_spend(state, spend, proposal)
    return classify(
        spend,
        payjoin=None if proposal is None else proposal.unsigned_transaction,
        fallback=state.fallback_transaction,
        due=Due(state.address.script_pubkey, Sats(state.created.amount or 1)),
    )


FALLBACK_REFUSED = (
    "The network refuses the ordinary payment for now, and nothing else spends its coins. It stays"
    " owed, and Dovetail broadcasts it again until it is accepted."
)
