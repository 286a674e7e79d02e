"""The guide's sender on the bare states, as a program that is type-checked and run."""

from collections.abc import Callable
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, OutPoint, Sats, UnixTime
from dovetail.protocol import PayjoinUri, Request, SenderParams, V1Endpoint, fee_contribution
from dovetail.sessions import sender
from dovetail.sessions.reasons import Reason
from dovetail.stores import SessionLog, Store
from dovetail.wallets import Accepted, Chain, Spend, Unknown, Wallet

Log = SessionLog[sender.SenderEvent]


@dataclass
class Purse:
    """A wallet with its own input and output: it asks each state what it needs."""

    wallet: Wallet
    chain: Chain
    store: Store
    post: Callable[[Request], tuple[int, bytes]]  # gives the status and the body
    now: Callable[[], UnixTime]

    def begin(
        self, uri: PayjoinUri, amount: Sats, rate: FeeRate
    ) -> tuple[sender.SenderSession, Log]:
        """Sign the ordinary payment: from here on it is made once, by payjoin or without."""
        payee = uri.address.script_pubkey
        original = self.wallet.pay(payee, amount, fee_rate=rate, unspendable=self.store.reserved())
        transaction = original.unsigned_transaction
        others = {output.script_pubkey for output in transaction.outputs} - {payee}
        offer = fee_contribution(original, payee, change=self.wallet.owned(others))
        log = self.store.new_sender(reserving=transaction.contested(), alone=True)
        created = sender.create(
            uri=uri,
            original=original,
            params=SenderParams(fee_contribution=offer),
            now=self.now(),
        )
        return created.save(log), log  # durable before anything leaves; no URI is paid twice

    def reopen(self) -> list[tuple[sender.SenderSession, Log]]:
        """What is still open after a restart."""
        logs = [self.store.sender(row.session_id) for row in self.store.live()]
        return [(sender.replay(log.load()), log) for log in logs]

    def step(self, session: sender.SenderSession, log: Log) -> sender.SenderSession:
        """Call it until the session is closed; after a `TransportError` or `ChainError`, again."""
        now = self.now()
        match session:
            case sender.WithReplyKey():
                return session.start_posting().save(log)
            case sender.PostingOriginal() | sender.PollingForProposal():
                spend = self.spend_of(session.contested)
                if spend is not None:
                    return session.record_spend(spend.transaction).save(log)
                if now >= session.expires_at:
                    return session.expire(now).save(log)
                return self.ask(session, log)
            case sender.ProposalReceived():  # it has passed the sender's checklist of BIP 78
                spend = self.spend_of(session.contested)
                if spend is not None:
                    return session.record_spend(spend.transaction, now=now).save(log)
                signed = self.wallet.sign(session.psbt_to_sign, inputs=session.inputs_to_sign)
                return session.record_signed(signed, now=now).save(log)
            case sender.PendingBroadcast():
                return self.broadcast(session, log)
            case sender.PendingFallback():
                return self.settle(session, log)
            case sender.Monitor():
                return self.watch(session, log)
            case sender.Closed():
                return session

    def ask(
        self, session: sender.PostingOriginal | sender.PollingForProposal, log: Log
    ) -> sender.SenderSession:
        if isinstance(session, sender.PollingForProposal):
            request, context = session.poll(relay=None, now=self.now())
            return session.process_poll(self.post(request)[1], context).save(log)
        if isinstance(session.payjoin_uri.endpoint, V1Endpoint):  # BIP 78: the answer comes at once
            return session.process_v1(*self.post(session.post_v1(now=self.now()))).save(log)
        request, context = session.post(relay=None, now=self.now())
        return session.process_post(self.post(request)[1], context).save(log)

    def broadcast(self, session: sender.PendingBroadcast, log: Log) -> sender.SenderSession:
        answer = self.chain.broadcast(session.payjoin)
        if isinstance(answer, Accepted):
            return session.record_broadcast(session.payjoin.txid).save(log)
        spend = self.spend_of(session.contested)
        if spend is None and isinstance(answer, Unknown):
            return session  # nobody knows yet: try again
        return session.refused(spends=[spend.transaction] if spend else []).save(log)

    def settle(self, session: sender.PendingFallback, log: Log) -> sender.SenderSession:
        spend = self.spend_of(session.contested)
        if spend is not None:
            return session.record_spend(spend.transaction).save(log)
        if session.reason is Reason.CANCELLED_BY_US and not session.requested:
            return session  # a person decides: `request_fallback` or `release`
        decided = session.request_fallback().save(log)  # durable before it leaves
        if isinstance(self.chain.broadcast(decided.fallback_transaction), Accepted):
            return decided.record_broadcast(decided.fallback_transaction.txid).save(log)
        return decided  # refused for now: try again

    def watch(self, session: sender.Monitor, log: Log) -> sender.SenderSession:
        spend = self.spend_of(session.contested)
        if spend is not None:
            scripts = [output.script_pubkey for output in spend.transaction.outputs]
            return session.record_settlement(
                spend.transaction, depth=spend.depth, owned=self.wallet.owned(scripts)
            ).save(log)
        if session.released:
            return session
        payjoin = session.payjoin
        mine = (
            payjoin
            if payjoin and payjoin.txid == session.expected
            else session.fallback_transaction
        )
        if isinstance(self.chain.broadcast(mine), Accepted):
            return session  # it had fallen out of the mempool, or is not shown yet
        return session.spend_dropped().save(log)

    def spend_of(self, contested: tuple[OutPoint, ...]) -> Spend | None:
        spends = self.chain.spends_of(contested).values()
        return max(spends, key=lambda spend: spend.depth, default=None)
