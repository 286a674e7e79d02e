"""Payments to the addresses of sessions that had ended, with or without their payment."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from dovetail.bitcoin import Sats, Script, UnixTime
from dovetail.errors import ReplayError
from dovetail.protocol.settlement import paid_to
from dovetail.runtime.chain_watch import seen_directly
from dovetail.runtime.services import Services
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.amounts import Received, amounts_of, by_payjoin_of
from dovetail.sessions.other_payments import Receipt, Receipts
from dovetail.sessions.overpayment import Surplus, surplus_seen
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import Role, SessionId, SessionRow, Store
from dovetail.wallets.ports import Chain, Payment

LOOKED_BACK = 30 * 86_400
"""Seconds after the expiration for which the address of an ended session is checked."""
MOST = 20
"""The most sessions that are checked, newest first, to spare a public server (ADR 0028)."""


@dataclass(frozen=True, slots=True)
class Late:
    """A payment to an address after its session had ended, paid or unpaid."""

    session_id: SessionId
    received: Sats
    asked: int | None
    sighting: Sighting
    paid: bool = False
    """Whether the session had ended with its payment, so that the address is paid once more."""

    @property
    def surplus(self) -> Surplus | None:
        """The overpayment; None where there is none."""
        return surplus_seen(self.sighting)

    @property
    def words(self) -> str:
        """The same in a sentence, or two."""
        waits = "" if self.sighting.depth else ", not confirmed yet"
        if self.paid:
            return f"Session {self.session_id} was paid, and then its address again{waits}."
        whole = "" if self.asked is None else f" of {self.asked:,}"
        return (
            f"Session {self.session_id} had ended, and {self.received:,}{whole} sats came to its"
            f" address afterwards{waits}."
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """The facts that a closed session has about its address."""

    script: Script
    asked: int | None
    depth: int
    paid: bool
    amount: int
    """The satoshis received by its outcome, without those of `own`."""
    own: frozenset[str] = frozenset()
    """The transaction that made the payment, which is not counted beside it."""
    brought: int = 0
    """The satoshis that it paid to the address."""
    payjoin: tuple[int, int] = (0, 0)
    """The amount that the proposal's payjoin pays the address, and the part without our coins."""

    def receipt(self, payment: Payment) -> Receipt:
        """A payment as it counts: for a payjoin that was made after all, without our own coins."""
        whole, net = self.payjoin
        amount = Sats(net) if whole and payment.amount == whole else payment.amount
        return Receipt(payment.txid, amount, payment.depth)


async def look_back(services: Services) -> tuple[Late, ...]:
    """Query the payments to receivers' addresses after the end, and store them for the lists.

    A payment reported as final is not reported again. Raises `ChainError` and `StoreUnavailable`.
    """

    def look() -> tuple[Late, ...]:
        return tuple(late_payments(services.store, services.chain, services.clock()))

    return await asyncio.to_thread(look)


def late_payments(store: Store, chain: Chain, now: UnixTime) -> Iterator[Late]:
    """The same without an event loop; each is stored before it is yielded."""
    rows = [row for row in store.history(limit=MOST) if _may_have_come(row, now - LOOKED_BACK)]
    ended = [(row, known) for row in rows if (known := _ended(store, row.session_id))]
    told = chain.payments_to_each({known.script for _, known in ended})
    for row, known in ended:
        script = known.script
        # A script that has no answer among others is asked for alone, which raises the cause.
        paid = told[script] if script in told else chain.payments_to(script)
        late = _late(row, known, paid)
        if late is None:
            if (gone := _gone(row, known)) is not None:
                store.saw(row.session_id, gone)
            continue
        if late.sighting == row.sighting and _is_final(late.sighting):
            continue
        if late.sighting != row.sighting:
            store.saw(row.session_id, late.sighting)
        yield late


def _late(row: SessionRow, known: _Known, paid: Iterable[Payment]) -> Late | None:
    """The payments beyond those of the outcome; None where there are none."""
    beside = [known.receipt(each) for each in paid if str(each.txid) not in known.own]
    received = Receipts.of(beside, asked=known.asked)
    if received.amount <= known.amount:
        return None
    seen = seen_directly(received, wanted=known.depth, asked=known.asked)
    in_all = Sats(received.amount + known.brought)
    named = received.named if known.brought else seen.beside
    return Late(
        row.session_id,
        in_all,
        known.asked,
        Sighting(
            kind=SpendKind.DIRECT,
            txid=named[0] if known.paid and named else seen.txid,
            depth=min(each.depth for each in beside) if known.paid else seen.depth,
            wanted=seen.wanted,
            came=in_all,
            asked=seen.asked,
            beside=named,
        ),
        known.paid,
    )


def _gone(row: SessionRow, known: _Known) -> Sighting | None:
    """A sighting after the end that has left the chain and the mempool; None: there is none."""
    seen = row.sighting
    if seen is None or seen.gone or seen.kind is not SpendKind.DIRECT or seen.came is None:
        return None
    if seen.came <= known.amount + known.brought:
        return None
    return replace(seen, depth=0, gone=True, receded=seen.depth > 0)


def _is_final(seen: Sighting) -> bool:
    return seen.depth >= seen.wanted


def _may_have_come(row: SessionRow, since: int) -> bool:
    return row.role is Role.RECEIVER and row.closed_at is not None and row.expires_at >= since


def _ended(store: Store, session_id: SessionId) -> _Known | None:
    """The facts that a closed session has about its address; None where it has none."""
    try:
        state = load_session(store, session_id)
    except ReplayError:
        return None
    if not isinstance(state, receiver.Closed):
        return None
    facts: dict[str, Any] = {
        "script": state.address.script_pubkey,
        "asked": state.created.amount,
        "depth": state.created.depth,
        "payjoin": _payjoin(state),
    }
    match state.outcome:
        case (
            outcomes.Success(txid=txid, beside=beside)
            | outcomes.FallbackBroadcasted(txid=txid, beside=beside)
        ):
            amounts = amounts_of(state)
            brought = int(amounts.amount) if isinstance(amounts, Received) else 0
            own = frozenset({txid})
            return _Known(**facts, paid=True, amount=beside, own=own, brought=brought)
        case outcomes.PaidDirectly(received=int(amount)):
            return _Known(**facts, paid=True, amount=amount)
        case outcomes.Unrecognized(txid=txid, received=known):
            return _Known(**facts, paid=False, amount=known or 0, own=frozenset({txid}))
        case outcomes.Cancelled(received=known) | outcomes.Expired(received=known):
            return _Known(**facts, paid=False, amount=known or 0)
        case outcomes.Revoked():
            return _Known(**facts, paid=False, amount=0)
        case _:
            return None


def _payjoin(state: receiver.Closed) -> tuple[int, int]:
    if state.payload is None or state.finalized is None:
        return 0, 0
    script, proposal = state.address.script_pubkey, state.finalized.psbt
    whole = paid_to(proposal.unsigned_transaction, script)
    return int(whole), int(by_payjoin_of(state.payload, proposal, script).amount)
