"""A payment of a Payjoin URI before it begins: built and signed, for a person to review."""

from collections.abc import Collection
from dataclasses import dataclass

from dovetail.actions import Action
from dovetail.bitcoin import FeeRate, OutPoint, Sats
from dovetail.bitcoin.psbt import Psbt
from dovetail.errors import DuplicateSession
from dovetail.protocol.original import fee_rate as paid_rate
from dovetail.protocol.params import SenderParams
from dovetail.protocol.proposal import cost_of_input, fee_contribution
from dovetail.protocol.uri import PayjoinUri
from dovetail.runtime import plain_payment
from dovetail.runtime.coin_choice import naming_holders, unspendable
from dovetail.runtime.fees import estimated_rate
from dovetail.runtime.services import Services


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PreparedPayment:
    """A payment that was built and signed but not begun; its coins are not reserved yet."""

    uri: PayjoinUri
    amount: Sats
    fee_rate: FeeRate
    original: Psbt
    params: SenderParams
    again: bool = False
    """Whether its address may be one that a session already pays or paid."""

    @property
    def fee(self) -> Sats:
        """The fee of the fallback; a payjoin takes at most `most_added` more from us."""
        return self.original.fee

    @property
    def most_added(self) -> Sats:
        """The most that a payjoin may take from our change for the receiver's inputs."""
        contribution = self.params.fee_contribution
        return Sats(0) if contribution is None else contribution.max_amount

    @property
    def receiver_pays(self) -> bool:
        """Whether our change cannot pay for the receiver's input at the minimum fee rate.

        Then the receiver pays for it, or there is no payjoin.
        """
        return self.most_added < cost_of_input(self.original, self.uri.address.script_pubkey)

    def __repr__(self) -> str:
        return "<PreparedPayment>"


def prepare(
    services: Services,
    uri: PayjoinUri,
    amount: Sats | None,
    fee_rate: FeeRate | None,
    *,
    coins: Collection[OutPoint] = (),
    again: bool,
) -> PreparedPayment:
    """Build and sign it; see `Agent.prepare`, also for what is raised."""
    wallet, store = services.wallet, services.store
    due = uri.check(network=wallet.network, now=services.clock(), amount=amount)
    known = store.session_paying(uri)
    if known is not None:
        raise DuplicateSession(
            f"Session {known} pays this URI or did: ask the receiver for a new URI to pay again.",
            actions=(Action.SHOW,),
            session=known,
        )
    if not again:
        plain_payment.require_unpaid(services, uri.address, uri.amount)
    rate = fee_rate or estimated_rate(services)
    wallet.sync()
    script = uri.address.script_pubkey
    spared = unspendable(services, coins)
    with naming_holders(services):
        original = wallet.pay(script, due, fee_rate=rate, unspendable=spared)
    others = [
        output.script_pubkey
        for output in original.unsigned_transaction.outputs
        if output.script_pubkey != script
    ]
    params = SenderParams(
        min_fee_rate=min(rate, paid_rate(original)),  # a wallet may round its rate down
        fee_contribution=fee_contribution(original, script, change=wallet.owned(others)),
    )
    return PreparedPayment(
        uri=uri, amount=due, fee_rate=rate, original=original, params=params, again=again
    )
