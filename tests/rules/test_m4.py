"""M4: after any crash, retry or duplicate, at most one of payjoin and fallback is paid; exactly
one, unless the user released or revoked the payment or somebody else spent its inputs.
"""

import pytest
from tests.properties.histories.accounts import Till
from tests.properties.histories.actor import GRACE, LIFETIME, Actor, SimulatedWorld
from tests.properties.histories.chain import Chain
from tests.properties.histories.charging import Payee
from tests.properties.histories.paying import Payer
from tests.properties.histories.people import ALICE, ALICES

from dovetail.sessions import outcomes, receiver, sender

RECEIVER_EVENTS, SENDER_EVENTS = 12, 7


class Payment:
    """Alice pays Bob, in one world."""

    def __init__(self, *, depth: int = 1) -> None:
        self.world = SimulatedWorld(Chain(depth))
        self.bob = Payee(self.world, Till())
        self.alice = Payer(self.world, self.bob.state.payjoin_uri)
        self.parties: tuple[Actor, Actor] = (self.bob, self.alice)

    def go_on(self, *parties: Actor, times: int = 14) -> None:
        for _ in range(times):
            for party in parties or self.parties:
                party.go_on()

    def settle(self) -> None:
        """Time passes and blocks come."""
        self.world.now += LIFETIME + GRACE
        for _ in range(6):
            self.go_on(times=2)
            self.world.chain.mine()
        for party in self.parties:
            party.check_log()
            party.check_paid()

    @property
    def times_paid(self) -> int:
        return len(self.world.chain.paid_to(self.bob.script))


def reach(payment: Payment, kind: type, party: Actor, *, alone: bool = False) -> None:
    going = (party,) if alone else payment.parties
    for _ in range(20):
        if isinstance(party.state, kind):
            return
        payment.go_on(*going, times=1)
    pytest.fail(f"{kind.__name__} was not reached")


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize(
    ("who", "seq"),
    [
        *((0, seq) for seq in range(1, RECEIVER_EVENTS)),
        *((1, seq) for seq in range(1, SENDER_EVENTS)),
    ],
)
def test_a_crash_at_any_event_ends_in_one_payjoin(who: int, seq: int, fault: str) -> None:
    payment = Payment()
    crashing = payment.parties[who]
    while not all(party.state.closed for party in payment.parties):
        if crashing.state.seq == seq:
            crashing.fault = fault
            seq = -1
        payment.go_on(times=1)
        if payment.world.chain.mempool:
            payment.world.chain.mine()
    assert payment.times_paid == 1
    assert isinstance(payment.bob.state.outcome, outcomes.Success)
    assert isinstance(payment.alice.state.outcome, outcomes.Success)


@pytest.mark.parametrize(
    "state",
    [sender.WithReplyKey, sender.PostingOriginal, sender.PollingForProposal],
    ids=lambda state: state.__name__,
)
def test_a_receiver_who_falls_silent_is_paid_once_by_the_fallback(state: type) -> None:
    payment = Payment()
    reach(payment, state, payment.alice, alone=True)
    payment.world.now += LIFETIME
    for _ in range(6):
        payment.go_on(payment.alice, times=2)
        payment.world.chain.mine()
    assert isinstance(payment.alice.state.outcome, outcomes.FallbackBroadcasted)
    assert payment.times_paid == 1


def test_a_sender_who_falls_silent_has_paid_once_by_the_fallback() -> None:
    payment = Payment()
    reach(payment, receiver.Monitor, payment.bob)
    payment.world.now += LIFETIME + GRACE
    for _ in range(4):
        payment.go_on(payment.bob, times=2)
        payment.world.chain.mine()
    assert isinstance(payment.bob.state.outcome, outcomes.FallbackBroadcasted)
    payment.settle()
    assert payment.times_paid == 1


def test_the_fallback_races_no_payjoin_before_its_time() -> None:
    payment = Payment()
    reach(payment, receiver.Monitor, payment.bob)
    payment.world.now += LIFETIME + GRACE - 1
    payment.go_on(payment.bob)
    assert payment.world.chain.mempool == []


def test_what_falls_out_of_the_mempool_or_the_chain_is_broadcast_again() -> None:
    payment = Payment(depth=2)
    reach(payment, sender.Monitor, payment.alice)
    (payjoin,) = payment.world.chain.mempool
    payment.world.chain.evict(0)
    payment.go_on(times=2)
    assert payment.world.chain.mempool == [payjoin]
    payment.world.chain.mine()
    payment.go_on(times=2)
    payment.world.chain.reorganise(forget=True)
    payment.go_on(times=2)
    assert payment.world.chain.mempool == [payjoin]
    payment.settle()
    assert payment.times_paid == 1


def release(payment: Payment) -> None:
    """The receiver holds the Original by then, and the sender declines to pay by it."""
    reach(payment, sender.PollingForProposal, payment.alice)
    payment.go_on(payment.bob, times=7)
    payment.alice.hand = payment.alice.state
    payment.alice.cancel()
    payment.alice.release()
    assert payment.alice.state.released


def test_a_payment_that_was_released_and_taken_all_the_same_is_paid_once() -> None:
    payment = Payment()
    release(payment)
    payment.settle()
    assert payment.times_paid == 1
    assert isinstance(payment.alice.state.outcome, outcomes.FallbackBroadcasted)


def test_a_revoked_payment_is_not_paid() -> None:
    payment = Payment()
    release(payment)
    payment.alice.revoke()
    payment.world.chain.mine()
    payment.settle()
    assert payment.times_paid == 0
    assert isinstance(payment.alice.state.outcome, outcomes.Revoked)


def test_a_coin_that_was_spent_elsewhere_pays_nobody_twice() -> None:
    payment = Payment()
    reach(payment, receiver.Monitor, payment.bob)
    elsewhere = ALICE.spend(ALICES[:1], ALICE.script(5), fee=9_000)
    payment.world.chain.mine_directly(elsewhere)
    payment.settle()
    assert payment.times_paid == 0
    assert isinstance(payment.bob.state.outcome, outcomes.Unrecognized)
