"""A payment that is, or may be, on its way: what the chain shows of it, and how it ends (M3)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import Transaction
from dovetail.errors import UsageError
from dovetail.protocol.settlement import Settlement
from dovetail.sessions import outcomes
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender.closing import Closed, are_gone, classify_spend
from dovetail.sessions.sender.contested import Contested
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, kw_only=True, repr=False)
class Watched(Contested):
    """Something spends, or may spend, the contested outpoints: watch them until one is deep."""

    reason: Reason | None = None

    def record_settlement(
        self, spend: Transaction, *, depth: int, owned: Collection[Script] = ()
    ) -> Transition[SenderEvent, "Self | Closed"]:
        """`spend` spends a contested outpoint and has `depth` confirmations.

        Below the configured depth nothing changes. `owned` are the output scripts of `spend` that
        belong to the wallet: a spend that is neither payjoin nor fallback and pays only to them is
        a revocation. Raises `UsageError` when `spend` spends no contested outpoint.
        """
        self.require_spend(spend)
        if depth < self.depth:
            return self._stay()
        return self._close(self._outcome(spend, owned))

    def check_revocation(self, transaction: Transaction, *, owned: Collection[Script]) -> None:
        """Raise `UsageError` unless broadcasting `transaction` would revoke a released payment.

        It must spend a contested outpoint and pay only to `owned` scripts; then the receiver can
        no longer take the payment once it confirms.
        """
        if not self.released:
            raise UsageError("Only a released payment can be revoked; release its fallback first.")
        self.terms.require_spend(transaction)
        if not self.terms.paid_back(transaction, owned):
            raise UsageError(
                "A revocation pays only back to the wallet; build it with such outputs alone."
            )

    def _outcome(self, spend: Transaction, owned: Collection[Script]) -> Outcome:
        txid = str(spend.txid)
        match classify_spend(self, spend, self.proposal):
            case Settlement.PAYJOIN:
                return outcomes.Success(txid=txid)
            case Settlement.FALLBACK:
                why = self.reason or Reason.FALLBACK_CONFIRMED_FIRST
                return outcomes.FallbackBroadcasted(txid=txid, why=why)
            case Settlement.PAYMENT:
                return outcomes.PaidDirectly(txid=txid)
            case Settlement.UNRECOGNIZED if self.terms.paid_back(spend, owned):
                return outcomes.Revoked(txid=txid)
            case _:
                return outcomes.Unrecognized(txid=txid)

    def _may_end_as(self, outcome: Outcome) -> bool:
        match outcome:
            case outcomes.Success():
                return self.proposal is not None
            case (
                outcomes.FallbackBroadcasted()
                | outcomes.PaidDirectly()
                | outcomes.Unrecognized()
                | outcomes.Revoked()
            ):
                return True
            case _:
                return are_gone(outcome)
