"""Ordinary payments, for URIs without a payjoin that can be used."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from dovetail.actions import Action
from dovetail.bitcoin import Address, FeeRate, OutPoint, Psbt, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import ChainError, DuplicateSession, UsageError
from dovetail.runtime.coin_choice import naming_holders, unspendable
from dovetail.runtime.fees import estimated_rate
from dovetail.runtime.services import Services
from dovetail.wallets.ports import SweepingWallet


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlainPayment:
    """An ordinary payment, built and signed but not begun; its coins are not reserved yet."""

    request: BitcoinUri
    address: Address
    amount: Sats
    fee_rate: FeeRate
    original: Psbt
    again: bool = False
    """Whether its address may be one that a session already pays or paid."""

    @property
    def fee(self) -> Sats:
        """The fee that it pays to miners."""
        return self.original.fee

    def __repr__(self) -> str:
        return "<PlainPayment>"


def prepare(
    services: Services,
    request: BitcoinUri,
    amount: Sats | None,
    fee_rate: FeeRate | None,
    *,
    coins: Collection[OutPoint] = (),
    everything: bool = False,
    again: bool,
) -> PlainPayment:
    """Build and sign it; see `Agent.prepare_plain`."""
    wallet, address = services.wallet, request.payee(services.wallet.network)
    if None not in (request.amount, amount) and request.amount != amount:
        raise UsageError("The URI asks for another amount. Pay that, or ask for another URI.")
    due = request.amount or amount
    if everything and due:
        raise UsageError("The URI asks for an amount: pay that, or pay all to an address.")
    if not due and not everything:
        raise UsageError("No amount is named: say how many sats to pay.")
    if not again:
        require_unpaid(services, address, request.amount)
    rate = fee_rate or estimated_rate(services)
    wallet.sync()
    script, spared = address.script_pubkey, unspendable(services, coins)
    with naming_holders(services):
        if due:
            original = wallet.pay(script, due, fee_rate=rate, unspendable=spared)
        elif isinstance(wallet, SweepingWallet):
            original = wallet.pay_all(script, fee_rate=rate, unspendable=spared)
            due = original.unsigned_transaction.outputs[0].value
        else:
            raise UsageError("This wallet cannot pay all it has: name an amount.")
    return PlainPayment(
        request=BitcoinUri(address, due, request.label, request.message),
        address=address,
        amount=due,
        fee_rate=rate,
        original=original,
        again=again,
    )


def require_unpaid(services: Services, address: Address, invoiced: Sats | None) -> None:
    """Raise `DuplicateSession` for an address that a session here pays or paid, in any URI.

    Also where the chain shows that an invoice is paid, by another wallet of the payer's or by
    anybody. A chain source that is away cannot tell, and does not prevent paying (M4).
    """
    known = services.store.session_paying_to(address)
    if known is not None:
        raise DuplicateSession(
            f"Session {known} pays this address or did. To pay it once more, say so with `again`.",
            actions=(Action.SHOW,),
            session=known,
        )
    if invoiced is None:
        return
    with suppress(ChainError):
        found = services.chain.payments_to(address.script_pubkey)
        if sum(payment.amount for payment in found) >= invoiced:
            raise DuplicateSession(
                "The address was paid that amount already, by a transaction that no session here"
                " made: check whether it was yours. To pay anyway, say so with `again`."
            )
