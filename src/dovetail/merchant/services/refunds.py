"""Refunds: asked for by the shop, claimed by the customer, decided by who may."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import Network, Sats, UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import events, refunds, stores, wallets
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.invoices.life import InvoiceState
from dovetail.merchant.invoices.refunds import (
    NotCovered,
    RefundRefused,
    RefundStatus,
    RefundStep,
    StepRefused,
    amount_of,
    is_covered,
    payable,
)

CUSTOMER = "customer"
"""How the audit trail names who has the claim link."""

CLOCK = "clock"
"""How it names the end of time."""

MOST_STEPS = 20
"""Steps of a refund after which its customer cannot change the address any more."""

TOO_OFTEN = "The address was changed too often: ask the shop for a new refund."

TOO_LATE = "The time to give an address is over: ask the shop for a new refund."
NOT_COVERED = (
    "The invoice's confirmed payments do not cover its refunds any more: wait for confirmations, or"
    " decline."
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Claim:
    """What the customer sees: the refund, and the shop's name and network."""

    refund: RefundRow
    store: str
    network: Network
    status: RefundStatus
    """As of now: a link may have run out that no event has told yet."""

    def __repr__(self) -> str:
        return f"<Claim {self.refund.id}>"


class Refunds:
    """What people and shop software do with refunds; each call is durable when it returns.

    The shop pays the miner's fee: the customer gets the whole amount.
    """

    def __init__(self, database: Database, clock: Callable[[], UnixTime] | None = None) -> None:
        """`clock` says what time it is; else the database's."""
        self._database = database
        self._clock = clock or database.now

    async def create(
        self,
        invoice_id: UUID,
        *,
        by: str,
        amount: Sats | None = None,
        reason: str | None = None,
        expires_in: int,
    ) -> tuple[RefundRow, str]:
        """Make a refund; return it and the secret of its claim link, which is told only now.

        Without an amount it is the usual one (`invoices.refunds.amount_of`). `expires_in` is in
        seconds. Raises `RefundRefused` where the invoice's credit does not allow it, and
        `UsageError` for an unknown invoice and one whose data were deleted.
        """
        now = self._clock()

        def write(connection: Connection) -> tuple[RefundRow, str]:
            state = events.change(connection, invoice_id, now=now)
            row = rows.invoice(connection, invoice_id)
            if row is None or row.forgotten_at is not None:
                raise UsageError("The invoice's payment data were deleted after its time.")
            taken = refunds.taken_of(connection, invoice_id)
            return refunds.add_refund(
                connection,
                row,
                amount=amount_of(state, row.amount, taken, amount),
                reason=reason,
                expires_at=UnixTime(now + expires_in),
                by=by,
                now=now,
            )

        return await self._database.awrite(write)

    async def claim(self, token: str) -> Claim | None:
        """Return what the holder of a claim link's secret may see; None for an unknown one."""
        now = self._clock()
        return await self._database.aread(lambda connection: _claim(connection, token, now))

    async def give_address(self, token: str, address: str) -> Claim | None:
        """Take the customer's address, also in place of an earlier one; None for an unknown link.

        Raises `RefundRefused` for an address that cannot be paid or is the shop's own, once the
        refund was approved or is over, and when the time is over.
        """
        now = self._clock()

        def write(connection: Connection) -> Claim | None:
            known = _claim(connection, token, now)
            if known is None:
                return None
            if now >= known.refund.expires_at:
                raise StepRefused(TOO_LATE)
            place = payable(address.strip(), known.network, known.refund.amount)
            if wallets.address_at(connection, place.script_pubkey) is not None:
                raise RefundRefused("This address is the shop's: give one of your own wallet.")
            refund = known.refund
            if refund.status is RefundStatus.CLAIMED and refund.address == str(place):
                return known  # the answer to the first request was lost
            if refund.steps >= MOST_STEPS:
                raise StepRefused(TOO_OFTEN)
            refunds.move(
                connection,
                known.refund.id,
                RefundStep.CLAIM,
                who=CUSTOMER,
                now=now,
                address=str(place),
            )
            return _claim(connection, token, now)

        return await self._database.awrite(write)

    def approve(self, refund_id: UUID, *, by: str) -> RefundRow:
        """Let the engine pay a refund; the owner approves the transaction at the signer, too.

        Raises `RefundRefused` for one that is not claimed, and where the invoice's credit does not
        cover it any more.
        """
        now = self._clock()
        return self._database.write(
            lambda c: refunds.move(
                c, refund_id, RefundStep.APPROVE, who=by, now=now, check=covered(c), decided_by=by
            )
        )

    def decline(self, refund_id: UUID, *, by: str) -> RefundRow:
        """Pay nothing; raises `RefundRefused` once it is being paid."""
        now = self._clock()
        return self._database.write(
            lambda c: refunds.move(c, refund_id, RefundStep.DECLINE, who=by, now=now, decided_by=by)
        )

    def cancel(self, refund_id: UUID, *, by: str) -> RefundRow:
        """Take a refund back; raises `RefundRefused` once it is being paid."""
        now = self._clock()
        return self._database.write(
            lambda c: refunds.move(c, refund_id, RefundStep.CANCEL, who=by, now=now)
        )


def covered(connection: Connection) -> refunds.Check:
    """Return the check that an invoice's credit covers its refunds; it raises `RefundRefused`."""

    def check(row: RefundRow, state: InvoiceState) -> None:
        if not is_covered(state, refunds.taken_of(connection, row.invoice_id)):
            raise NotCovered(NOT_COVERED)

    return check


def expire_due(database: Database, now: UnixTime) -> int:
    """Let the refunds expire whose customers gave no address in time; return how many."""
    late = database.read(lambda connection: refunds.unclaimed(connection, now))
    for refund_id in late:
        with suppress(StepRefused):  # the customer was faster
            database.write(partial(_expire, refund_id=refund_id, now=now))
    return len(late)


def _expire(connection: Connection, *, refund_id: UUID, now: UnixTime) -> None:
    refunds.move(connection, refund_id, RefundStep.EXPIRE, who=CLOCK, now=now)


def _claim(connection: Connection, token: str, now: UnixTime) -> Claim | None:
    row = refunds.refund_of_token(connection, token)
    if row is None:
        return None
    store = stores.store(connection, row.store_id)
    wallet = wallets.wallet(connection, row.wallet_id)
    if store is None or wallet is None:
        return None
    late = row.status is RefundStatus.OPEN and now >= row.expires_at
    return Claim(
        refund=row,
        store=store.name,
        network=wallet.network,
        status=RefundStatus.EXPIRED if late else row.status,
    )
