"""What the chain says about a session's money."""

from collections.abc import Iterable

from dovetail.bitcoin import OutPoint, Script
from dovetail.wallets.ports import Chain, Payment, Spend


def deepest_spend(chain: Chain, contested: Iterable[OutPoint]) -> Spend | None:
    """The transaction that spends a contested outpoint, the deepest if there are several.

    Different ones are possible when somebody else spends some of them.
    """
    spends = (chain.spend_of(outpoint) for outpoint in contested)
    found = [spend for spend in spends if spend is not None]
    return max(found, key=lambda spend: spend.depth, default=None)


def direct_payment(chain: Chain, script: Script, amount: int | None) -> Payment | None:
    """The deepest payment of at least `amount` to an address; None: there is none.

    Ask before an Original was accepted: afterwards its fallback or payjoin would be found.
    """
    least = amount or 1
    paid = (payment for payment in chain.payments_to(script) if payment.amount >= least)
    return max(paid, key=lambda payment: payment.depth, default=None)
