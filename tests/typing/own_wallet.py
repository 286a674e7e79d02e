"""The README's first quickstart, as a program that is type-checked and run."""

from collections.abc import Callable
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, Sats, UnixTime
from dovetail.crypto import KeyConfig
from dovetail.protocol import Request
from dovetail.sessions import receiver
from dovetail.stores import SessionLog, Store
from dovetail.wallets import Accepted, Chain, Wallet


@dataclass
class Till:
    """A wallet with its own input and output: it asks each state what it needs."""

    wallet: Wallet
    chain: Chain
    store: Store
    log: SessionLog[receiver.ReceiverEvent]
    post: Callable[[Request], bytes]
    now: Callable[[], UnixTime]

    def open(self, directory: str, ohttp_keys: KeyConfig) -> receiver.ReceiverSession:
        return receiver.create(
            address=self.wallet.new_address(),
            directory=directory,
            ohttp_keys=ohttp_keys,
            expires_at=UnixTime(self.now() + 86_400),
            amount=Sats(50_000),
        ).save(self.log)  # durable before anyone sees session.payjoin_uri

    def step(self, session: receiver.ReceiverSession) -> receiver.ReceiverSession:
        match session:
            case receiver.Initialized():
                request, context = session.poll(relay=None, now=self.now())
                body = self.post(request)  # these bytes leave once; a retry polls afresh
                return session.process_poll(body, context, now=self.now()).save(self.log)
            case receiver.UncheckedOriginalPayload():
                answer = self.chain.acceptance(session.transaction)
                existing = self.chain.outputs(session.contested)
                return session.check_broadcast_suitability(
                    isinstance(answer, Accepted),
                    tested=isinstance(answer, Accepted) and answer.tested,
                    spent={outpoint: output.txout for outpoint, output in existing.items()},
                ).save(self.log)
            case receiver.MaybeInputsOwned():
                ours = self.wallet.owned_coins(session.contested)
                return session.check_inputs_not_owned(ours).save(self.log)
            case receiver.MaybeInputsSeen():
                seen = self.store.claim(self.log.session_id, session.contested)
                return session.check_no_inputs_seen_before(seen).save(self.log)
            case receiver.OutputsUnknown():
                mine = self.wallet.owned(session.output_scripts)
                return session.identify_receiver_outputs(mine).save(self.log)
            case receiver.WantsOutputs():
                return session.commit_outputs().save(self.log)
            case receiver.WantsInputs():
                return self.contribute(session)
            case receiver.WantsFeeRange():
                highest = FeeRate.from_sat_per_vb(20)
                return session.apply_fee_range(FeeRate.BROADCAST_MIN, highest).save(self.log)
            case receiver.ProvisionalProposal():
                signed = self.wallet.sign(session.psbt_to_sign, inputs=session.inputs_to_sign)
                self.store.expose(self.log.session_id)
                return session.finalize_proposal(signed).save(self.log)
            case receiver.PayjoinProposal():
                request, context = session.post(relay=None, now=self.now())
                return session.process_post(self.post(request), context).save(self.log)
            case receiver.HasReplyableError():
                request, context = session.reply(relay=None, now=self.now())
                return session.process_reply(self.post(request), context).save(self.log)
            case receiver.PendingFallback():
                return self.settle(session)
            case receiver.Monitor():
                return self.watch(session)
            case receiver.Closed():
                return session

    def contribute(self, session: receiver.WantsInputs) -> receiver.ReceiverSession:
        coins = session.select_coins(self.wallet.coins())
        taken = self.store.reserve(self.log.session_id, [coin.outpoint for coin in coins])
        if taken or not coins:
            return session.cannot_contribute().save(self.log)
        return session.commit_inputs(coins).save(self.log)

    def settle(self, session: receiver.PendingFallback) -> receiver.ReceiverSession:
        for spend in self.chain.spends_of(session.contested).values():
            return session.record_spend(spend.transaction).save(self.log)
        if session.due_at is None or self.now() < session.due_at:
            return session  # a person decides: `request_fallback` or `release`
        decided = session.request_fallback().save(self.log)  # durable before it leaves
        if isinstance(self.chain.broadcast(decided.fallback_transaction), Accepted):
            return decided.record_broadcast(decided.fallback_transaction.txid).save(self.log)
        return decided  # refused for now: try again

    def watch(self, session: receiver.Monitor) -> receiver.ReceiverSession:
        for spend in self.chain.spends_of(session.contested).values():
            return session.record_settlement(spend.transaction, depth=spend.depth).save(self.log)
        if session.due_at is None or self.now() < session.due_at:
            return session
        return session.fallback_due(self.now()).save(self.log)

    def reopen(self) -> receiver.ReceiverSession:
        return receiver.replay(self.log.load())  # after a restart
