"""Invoices: made once, given their payment URI once, closed and marked by people."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from dovetail.bitcoin import Address, Sats, Script, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import ConfigurationError, DovetailError, UsageError
from dovetail.merchant.data import audit, close_requests, events, record, stores
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.close_requests import CloseRequest
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow, terms_of
from dovetail.merchant.data.wallets import Purpose
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.messages.invoices import NewInvoice
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.rates import satoshis
from dovetail.merchant.services.readiness import NoPayjoin, obstacle_of
from dovetail.runtime.receiver_setup import Creation
from dovetail.sessions import receiver

_NO_SCRIPT = Script(b"")


class Invoices:
    """What people and shop software do with invoices; each call is durable when it returns."""

    def __init__(self, parts: Parts) -> None:
        """Use these parts."""
        self._parts = parts
        self._database = parts.database

    async def create(self, store_id: UUID, wanted: NewInvoice) -> InvoiceRow:
        """Make an invoice, with its address and its first event, and give it its payment URI.

        Raises `UsageError` for an unknown or archived store, `ConfigurationError` for terms that
        contradict each other, `RateUnavailable` for a price whose rate cannot be had, and
        `StoreUnavailable`; then nothing was made.
        """
        row = await self.draft(store_id, wanted)
        added = await self._database.awrite(lambda connection: self.add(connection, row))
        await self.payment_uri(added.id)
        return await self._row(added.id)

    async def draft(self, store_id: UUID, wanted: NewInvoice) -> InvoiceRow:
        """Return the row of a new invoice without its address, for `add`; raises as `create`."""
        store = await self._database.aread(lambda connection: stores.store(connection, store_id))
        if store is None or store.archived_at is not None:
            raise UsageError("No store that takes invoices has this id.")
        now = UnixTime(self._parts.clock())
        policy = store.policy
        currency, rate, amount = await self._amount(store, wanted)
        expires_at = UnixTime(now + (wanted.expires_in or policy.expiry_seconds))
        return InvoiceRow(
            id=new_id(),
            store_id=store.id,
            wallet_id=store.wallet_id,
            amount=amount,
            currency=currency,
            price=wanted.price,
            rate=None if rate is None else str(rate),
            label=wanted.label or None,
            order_id=wanted.order_id,
            metadata=msgspec.json.encode(wanted.metadata),
            redirect_url=wanted.redirect_url,
            address="",
            script=_NO_SCRIPT,
            terms=terms_of(policy),
            created_at=now,
            expires_at=expires_at,
            monitored_until=UnixTime(expires_at + policy.monitoring_seconds),
        )

    def add(self, connection: Connection, draft: InvoiceRow) -> InvoiceRow:
        """Give a drafted invoice its address and its first event, in the caller's transaction."""
        wallet = self._parts.wallet(draft.wallet_id)
        script = wallet.give(connection, Keychain.HOT, Purpose.INVOICE, invoice_id=draft.id)
        address = Address.from_script(script, wallet.network)
        least = script.dust_limit
        if draft.amount < least:
            raise ConfigurationError(
                f"Nodes relay no payment of less than {least:,} sats to this wallet: ask for more."
            )
        row = replace(draft, script=script, address=str(address))
        row.invoice()  # raises where the terms contradict each other
        rows.add_invoice(connection, row)
        events.begin(connection, row.id, now=row.created_at)
        return row

    async def payment_uri(self, invoice_id: UUID) -> str:
        """Return the payment URI of an invoice, the same for its whole life (BIP 21, BIP 77).

        The first call decides whether it offers a payjoin, and begins the session then. Raises
        `UsageError` for an unknown invoice and one whose data were deleted.
        """
        row = await self._row(invoice_id)
        if row.forgotten_at is not None:
            raise UsageError("The invoice's payment data were deleted after its time.")
        if row.uri is not None:
            return row.uri
        store = await self._database.aread(lambda c: stores.store(c, row.store_id))
        minimum = 0 if store is None else store.policy.payjoin_minimum_sats
        obstacle = await self._parts.readiness(row.wallet_id).obstacle(row.amount, minimum=minimum)
        if obstacle is None:
            try:
                return await self._offer(row)
            except DovetailError as error:
                obstacle = obstacle_of(error)
        return await self._database.awrite(lambda c: _without_payjoin(c, row, obstacle))

    async def close(self, invoice_id: UUID, *, by: str) -> CloseRequest:
        """Ask for the end of an invoice's payjoin session; a worker ends it after one more poll.

        What the session holds is still paid. Raises `UsageError` for an unknown invoice.
        """
        row = await self._row(invoice_id)
        now = self._parts.clock()

        def write(connection: Connection) -> CloseRequest:
            _audit(connection, row, "invoice.close", by=by, now=now)
            return close_requests.ask(connection, row, by=by, now=now)

        return await self._database.awrite(write)

    async def mark(self, invoice_id: UUID, *, settled: bool, by: str) -> InvoiceRow:
        """Decide by hand that an invoice is settled or invalid, whatever the chain shows.

        Raises `UsageError` for an unknown invoice.
        """
        row = await self._row(invoice_id)
        now = self._parts.clock()

        def write(connection: Connection) -> None:
            events.change(
                connection,
                invoice_id,
                lambda: record.add_mark(connection, invoice_id, settled=settled, by=by, now=now),
                now=now,
            )
            detail = {"settled": settled}
            _audit(connection, row, "invoice.mark", by=by, now=now, detail=detail)

        await self._database.awrite(write)
        return await self._row(invoice_id)

    async def _offer(self, row: InvoiceRow) -> str:
        """Begin the session of an invoice, and keep its URI; a second call gives the first's.

        The signer learns what the invoice demands before anyone sees the URI.
        """
        creation = await self._creation(row)
        signer = self._parts.signer
        if signer is not None:
            demand = row.invoice().enough
            await asyncio.to_thread(signer.open, str(row.id), demand=demand)
        return await self._database.awrite(
            lambda connection: self._begin(connection, row, creation)
        )

    async def _creation(self, row: InvoiceRow) -> Creation:
        create = await self._parts.mailboxes(row.wallet_id).open(v1=False)
        policy = self._parts.policy
        return create(
            address=Address.parse(row.address),
            expires_at=row.expires_at,
            amount=row.amount,
            label=row.label,
            message=None,
            grace=policy.grace,
            depth=max(1, row.terms.depths.of(row.amount)),
        )

    def _begin(self, connection: Connection, row: InvoiceRow, creation: Creation) -> str:
        known = rows.invoice(connection, row.id, lock=True)
        if known is not None and known.uri is not None:
            return known.uri
        log = self._database.sessions.new_receiver().within(connection)
        state = creation.save(log)
        uri = _uri_of(state)
        rows.set_session(connection, row.id, log.session_id)
        rows.set_uri(connection, row.id, uri)
        return uri

    async def _amount(
        self, store: StoreRow, wanted: NewInvoice
    ) -> tuple[str | None, Decimal | None, Sats]:
        """The currency, the rate and the amount; a price has its rate fixed now."""
        if (wanted.amount_sats is None) == (wanted.price is None):
            raise ConfigurationError("Give either `amount_sats` or `price`.")
        if wanted.price is None:
            return None, None, Sats(wanted.amount_sats or 0)
        currency = wanted.currency or store.policy.currency
        if currency is None:
            raise ConfigurationError("Give the `currency` of the price: the store has none.")
        rate = await self._parts.rates.rate(currency)
        return (
            currency,
            rate,
            satoshis(Decimal(wanted.price), rate, spread=store.policy.spread_permille),
        )

    async def _row(self, invoice_id: UUID) -> InvoiceRow:
        row = await self._database.aread(lambda connection: rows.invoice(connection, invoice_id))
        if row is None:
            raise UsageError("No invoice has this id.")
        return row


def _audit(
    connection: Connection,
    row: InvoiceRow,
    what: str,
    *,
    by: str,
    now: UnixTime,
    detail: dict[str, bool] | None = None,
) -> None:
    audit.add(
        connection,
        store_id=row.store_id,
        who=by,
        what=what,
        subject=str(row.id),
        now=now,
        detail=detail,
    )


def _uri_of(state: receiver.Initialized) -> str:
    return state.payjoin_uri.serialize()


def _without_payjoin(connection: Connection, row: InvoiceRow, why: NoPayjoin) -> str:
    known = rows.invoice(connection, row.id, lock=True)
    if known is not None and known.uri is not None:
        return known.uri
    uri = BitcoinUri(
        address=Address.parse(row.address), amount=row.amount, label=row.label
    ).serialize()
    rows.set_uri(connection, row.id, uri, no_payjoin=why.value)
    return uri
