"""The end of Bob's session: what the chain shows, and what its user says."""

from typing import Any

from tests.properties.histories.accounts import AMOUNT, Accounts
from tests.properties.histories.actor import Move
from tests.properties.histories.ledger import require

from dovetail.runtime.chain_queries import Look
from dovetail.sessions import receiver
from dovetail.wallets.ports import Spend


class Collector(Accounts):
    """A receiver that holds a payment, and sees to it that one is made."""

    def _settle(self, state: receiver.PendingFallback) -> None:
        seen = self.look()
        if self.notes_coins(state, seen.missing_at):
            return
        spend = seen.spend
        if spend is not None and self._is_answer(state, spend):
            self.attempt(lambda: state.record_spend(spend.transaction))
            return
        if self._ends_without_it(state, seen):
            return
        due = state.due_at is not None and self.world.now >= state.due_at
        if not due:
            return
        require("M4", state.requested or state.owed, "a fallback that is not owed fell due")
        early = state.proposal_out and self.world.now < state.watched_until
        require("M4", state.requested or not early, "the fallback raced a fresh payjoin")
        if state.may_end_unpaid:
            self.attempt(state.request_fallback)
            return
        taken = self._broadcasts(state)
        if taken:
            self.attempt(lambda: state.record_broadcast(state.fallback_transaction.txid))
        elif taken is False and spend is not None:
            self.attempt(lambda: state.record_spend(spend.transaction))

    def _is_answer(self, state: receiver.PendingFallback, spend: Spend) -> bool:
        if spend.depth or spend.transaction.txid == state.fallback_transaction.txid:
            return True
        return state.settles(spend.transaction) and not state.requested

    def _broadcasts(self, state: receiver.PendingFallback | receiver.Monitor) -> bool | None:
        """Broadcast the fallback; by policy only where it would be the only payment (M4)."""
        brought = sum(
            self.world.chain.pays(tx, self.script) for tx in self.world.chain.shown()
            if all(tx.spends(outpoint) is None for outpoint in state.contested)
        )  # fmt: skip
        alone = brought < AMOUNT or state.insisted or state.seq < self.state.seq
        require("M4", alone, "a fallback was broadcast beside a payment in full")
        return self.world.chain.hand_in(state.fallback_transaction)

    def _ends_without_it(
        self, state: receiver.PendingFallback | receiver.Monitor, seen: Look
    ) -> bool:
        now = self.world.time
        if seen.received.full:
            before = self.state
            self.attempt(lambda: state.record_payment(seen.received, now=now))
            return self.state is not before
        if seen.spend is not None:
            return False
        height = seen.missing_at
        gone = height is not None and state.coins.are_gone(height, depth=state.depth)
        if (
            height is not None
            and gone
            and not self.world.chain.acceptable(state.fallback_transaction)
        ):
            return self.attempt(lambda: state.record_gone(height=height))
        if state.may_expire and now >= state.watched_until:
            return self.attempt(lambda: state.expire(now, received=seen.received))
        return False

    def _watch(self, state: receiver.Monitor) -> None:
        seen = self.look()
        if self.notes_coins(state, seen.missing_at):
            return
        spend, revoked = seen.spend, seen.revoked
        if spend is not None and (spend.depth or state.settles(spend.transaction)):
            self.attempt(
                lambda: state.record_settlement(
                    spend.transaction, depth=spend.depth, received=seen.received
                )
            )
        elif state.released and revoked is not None:
            self.attempt(
                lambda: state.record_revoked(
                    revoked.transaction, depth=revoked.depth, received=seen.received
                )
            )
        elif not self._ends_without_it(state, seen):
            self._bring_back(state)

    def _bring_back(self, state: receiver.Monitor) -> None:
        due = state.due_at is not None and self.world.now >= state.due_at
        decided = state.seen_spent and state.reason is not None
        if (state.fallback_broadcast and not state.paid_twice) or (due and decided):
            self._broadcasts(state)
        elif due:
            self.attempt(lambda: state.fallback_due(self.world.time))

    def cancel(self) -> None:
        state = self.state
        seen, watches = self.look(), isinstance(state, receiver.Monitor)
        if not hasattr(state, "cancel") or seen.received.full or (watches and seen.spend):
            return  # it is paid, or about to be
        out = isinstance(state, receiver.PayjoinProposal | receiver.Monitor)
        if self.attempt(state.cancel) and not out:
            self.store.release(self.log.session_id)

    def release(self) -> None:
        state = self.state
        if not isinstance(state, receiver.PendingFallback):
            return
        seen = self.look()
        if (spend := seen.spend) is not None:
            self.attempt(lambda: state.record_spend(spend.transaction))
            return
        if seen.received.full:
            self.attempt(lambda: state.record_payment(seen.received, now=self.world.time))
        pending = self.hand = self.state
        if isinstance(pending, receiver.PendingFallback):
            self.attempt(lambda: pending.release(spends=(), received=seen.received))

    def request_fallback(self) -> None:
        """The user's word; what paid the address meanwhile is said first, and asked again."""
        state = self.state
        if not hasattr(state, "request_fallback"):
            return
        seen = self.look()
        if (spend := seen.spend) is not None and spend.depth:
            return
        if seen.received.full and not getattr(state, "paid_by", ()):
            self._note_payment(state, seen)
            return
        if self.attempt(state.request_fallback) and not self.state.proposal_out:
            self.store.release(self.log.session_id)
        if isinstance(self.state, receiver.PendingFallback):
            self.hand = self.state
            self._settle(self.state)

    def words(self, state: Any) -> list[Move]:
        named = ("cancel", "request_fallback", "release")
        heard = [getattr(state, name) for name in named if hasattr(state, name)]
        if isinstance(state, receiver.HasReplyableError) and state.reopens:
            heard.append(lambda: receiver.reopen(state))  # what the next step does by itself
        return heard

    def raise_fee(self) -> None:
        """A receiver has no fee to raise: it says that it wants the fallback."""
        self.request_fallback()

    def _note_payment(self, state: Any, seen: Look) -> None:
        if isinstance(state, receiver.PendingFallback | receiver.Monitor):
            self.attempt(lambda: state.record_payment(seen.received, now=self.world.time))
        elif hasattr(state, "record_payment"):
            self.attempt(lambda: state.record_payment(seen.received))

    def settle(self) -> None:
        """What nobody asks for is released; a payment that was seen and never came is made."""
        state = self.state
        pending = isinstance(state, receiver.PendingFallback)
        if pending and state.due_at is None and not state.requested:
            self.release()
        elif isinstance(state, receiver.PendingFallback | receiver.Monitor) and state.paid_twice:
            seen = self.look()
            if seen.spend is None and not seen.received.full:
                self.request_fallback()
