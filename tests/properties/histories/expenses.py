"""What must be true of Alice's session, whatever it did (M3, M4)."""

from tests.properties.histories.accounts import AMOUNT
from tests.properties.histories.actor import Actor
from tests.properties.histories.ledger import require
from tests.properties.histories.people import ALICE, BOB, UTXOS

from dovetail.bitcoin import Psbt, Transaction
from dovetail.protocol import PayjoinUri, SenderParams, Settlement, classify
from dovetail.sessions import outcomes, sender

OURS = frozenset(ALICE.scripts())
PAID = (outcomes.Success, outcomes.FallbackBroadcasted, outcomes.PaidDirectly)


class Expenses(Actor):
    """What a sender's session decided and spends, and when that breaks a rule."""

    role = sender
    uri: PayjoinUri
    original: Psbt
    params: SenderParams

    @property
    def declined(self) -> bool:
        outcome = getattr(self.state, "outcome", None)
        return isinstance(outcome, outcomes.Cancelled)

    @property
    def decided(self) -> bool:
        """Whether the log says that the fallback is to be made, whatever else is asked."""
        return "FallbackRequested" in self.tags

    def moved(self) -> None:
        state = self.state
        if isinstance(state, sender.PendingBroadcast):
            self._check_cost(state.payjoin)
        if state.closed:
            self._check_end(state)

    def _check_cost(self, payjoin: Transaction) -> None:
        """The promise that is broadcast costs no more than was agreed to, and pays its rate."""
        fee = self.world.chain.fee(payjoin)  # of the true amounts, whatever was claimed
        demanded = self.params.min_fee_rate.fee(payjoin.weight)
        require("rate", fee >= demanded, "a payjoin pays less than was demanded")
        spent = sum(
            int(UTXOS[o].value) for o in payjoin.contested() if UTXOS[o].script_pubkey in OURS
        )
        back = sum(int(o.value) for o in payjoin.outputs if o.script_pubkey in OURS)
        offer = self.params.fee_contribution
        most = AMOUNT + self.original.fee + (0 if offer is None else offer.max_amount)
        require("M4", spent - back <= most, "a payjoin takes more than the payment and its fee")
        paid = sum(int(o.value) for o in payjoin.outputs if o.script_pubkey == BOB.script(0))
        substituted = self.uri.output_substitution and paid == 0
        require("M4", substituted or paid > 0, "a payjoin does not pay the payee")

    def _check_end(self, state: sender.Closed) -> None:
        """M3, from the chain and the user alone."""
        before = self.states[-2]
        spend = self.world.chain.deepest(state.contested)
        final = spend is not None and spend[1] >= self.world.chain.depth
        declined = isinstance(before, sender.PendingFallback) and "StartedPosting" not in self.tags
        gone = any(map(self.world.chain.is_gone, state.contested))
        require("M3", final or declined or gone, "closed while a payment was open")
        require("M4", final or gone or not self.decided, "declined what was decided on")
        if final and spend is not None:
            txid = getattr(state.outcome, "txid", None)
            require("M4", txid == str(spend[0].txid), "the outcome is not what the chain shows")
            self._check_told(state, spend[0])
        else:
            cancelled = isinstance(state.outcome, outcomes.Cancelled)
            require("M4", cancelled and spend is None, "released while it was being paid")

    def _check_told(self, state: sender.Closed, spend: Transaction) -> None:
        """What pays the invoice is a payment, whoever made it and at whatever fee."""
        script = self.uri.address.script_pubkey
        pays = self.world.chain.pays(spend, script) >= AMOUNT
        substituted = self.kind(spend) is Settlement.PAYJOIN
        told = isinstance(state.outcome, PAID)
        require("told", told == (pays or substituted), "the outcome says otherwise than the chain")

    def kind(self, spend: Transaction) -> Settlement:
        """What a transaction is to this session, by everything it ever signed."""
        payjoins = [s.payjoin for s in self.states if getattr(s, "payjoin", None) is not None]
        for payjoin in payjoins:
            if classify(spend, payjoin=payjoin, fallback=None) is Settlement.PAYJOIN:
                return Settlement.PAYJOIN
        if any(spend.txid == state.fallback_transaction.txid for state in self.states):
            return Settlement.FALLBACK
        due = self.state.terms.due
        return classify(spend, payjoin=None, fallback=self.original.extract(), due=due)

    def _check_rate(self, spends: list[Transaction]) -> None:
        """What the chain has of a payjoin paid the rate that was demanded, of the true amounts."""
        for spend in spends:
            if self.kind(spend) is Settlement.PAYJOIN:
                least = self.params.min_fee_rate.fee(spend.weight)
                require("rate", self.world.chain.fee(spend) >= least, "a payjoin paid less")

    def check_paid(self) -> None:
        """M4, once the world has calmed down."""
        confirmed = self.world.chain.confirmed()
        contested = self.original.unsigned_transaction.contested()
        spends = [tx for tx in confirmed if any(tx.spends(o) is not None for o in contested)]
        kinds = [self.kind(spend) for spend in spends]
        payments = [kind for kind in kinds if kind is not Settlement.UNRECOGNIZED]
        require("M4", len(payments) <= 1, "payjoin and fallback were both paid")
        final = any(self.world.chain.depth_of(tx.txid) >= self.world.chain.depth for tx in spends)
        over = final or not all(map(self.world.chain.exists, contested))
        require("end", self.state.closed or not over, "a session outlives its payment")
        beside = self.world.chain.paid_to(self.uri.address.script_pubkey)
        excused = self.released or Settlement.UNRECOGNIZED in kinds or len(beside) > len(spends)
        require("M4", excused or len(payments) == 1, "nothing was paid in the end")
        waits = isinstance(self.state, sender.Monitor) and self.state.released
        require("M3", self.state.closed or waits, "the session did not end")
        self._check_rate(spends)
        if isinstance(self.state, sender.Closed) and payments:
            success = isinstance(self.state.outcome, outcomes.Success)
            require(
                "M4", success == (payments[0] is Settlement.PAYJOIN), "the outcome names another"
            )
