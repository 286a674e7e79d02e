"""Payments that do not become payjoins: cancelled, expired, refused; each is made once all the
same."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.interop.books import AMOUNT, Books, address_in, at_once, stranger
from tests.interop.dovetail_peer import EAGER, OurReceiver, OurSender
from tests.interop.environment import Ending, How
from tests.interop.pairing import POOR, Act, Purses, they_pay, we_pay
from tests.interop.rust_peer import TheirReceiver, TheirSender
from tests.interop.rust_program import PeerError
from tests.support.world import until

from dovetail.bitcoin import FeeRate, Transaction
from dovetail.runtime import decisions
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

_CANCELLED = "Cancelled"
_EXPIRED = "Expired"
_REFUSED = "Error replies"
SHORT = 2
"""Seconds that a session lives whose expiration rust-payjoin waits for on the system's clock."""


async def _our_sender_cancels(payer: OurSender, payee: TheirReceiver, books: Books) -> None:
    session = await payer.start(await payee.ask(AMOUNT))
    await until(session, sender.PollingForProposal)
    await decisions.cancel(payer.agent.services, session.session_id)
    await decisions.fallback(payer.agent.services, session.session_id)
    paid, _ = await books.both(payer.end(), payee.serve(), how=How.FALLBACK)
    assert paid.why == Reason.CANCELLED_BY_US


async def _their_receiver_cancels(payer: OurSender, payee: TheirReceiver, books: Books) -> None:
    uri = await payee.ask(AMOUNT)
    paid, _ = await books.both(payer.pay(uri), _cancelling(payee), how=How.FALLBACK)
    assert paid.why == Reason.RECEIVER_TOOK_FALLBACK


async def _cancelling(payee: TheirReceiver) -> Ending:
    await payee.fetch()
    await payee.check()
    cancelled = await payee.peer.order("cancel")
    payee.stage.send(Transaction.parse(bytes.fromhex(cancelled["fallback"])))
    return await payee.paid()


async def _our_sender_expires(payer: OurSender, payee: TheirReceiver, books: Books) -> None:
    session = await payer.start(await payee.ask(AMOUNT, lifetime=60))
    await until(session, sender.PollingForProposal)
    payer.clock.ahead = 61
    paid, _ = await books.both(payer.end(), payee.serve(), how=How.FALLBACK)
    assert paid.why == Reason.EXPIRED_WAITING_FOR_PROPOSAL


def _refused_by_them(facts: Callable[[Transaction], dict[str, object]]) -> Act:
    async def act(payer: OurSender, payee: TheirReceiver, books: Books) -> None:
        async def refusing() -> Ending:
            checked = await payee.check(**facts(await payee.fetch()))
            return await payee.refuse(str(checked["refused"]))

        uri = await payee.ask(AMOUNT)
        paid, _ = await books.both(payer.pay(uri), refusing(), how=How.FALLBACK)
        assert paid.why == Reason.RECEIVER_ORIGINAL_PSBT_REJECTED

    return act


async def _their_sender_cancels(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    await payer.prepare(await payee.ask(AMOUNT, away=True))
    await payer.post()
    await payer.peer.order("cancel")
    paid = await payer.fall_back()
    payee.resume()
    await books.close(paid, await payee.serve(), how=How.FALLBACK)


async def _our_receiver_cancels(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    await payer.prepare(await payee.ask(AMOUNT, away=True))
    await payer.post()
    await payee.lead(receiver.WantsOutputs)
    services, session_id = payee.agent.services, payee.session.session_id
    await decisions.cancel(services, session_id)
    await decisions.fallback(services, session_id)
    payee.resume()
    await payer.peer.order("cancel")
    _, got = await books.both(payer.fall_back(), payee.serve(), how=How.FALLBACK)
    assert got.why == Reason.CANCELLED_BY_US


async def _their_sender_expires(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    await payer.prepare(await payee.ask(AMOUNT, lifetime=SHORT, away=True))
    await payer.post()
    with pytest.raises(PeerError, match=r"(?i)expired") as expired:
        await payer.answer()
    paid = await payer.fall_back(str(expired.value))
    payee.resume()
    await books.close(paid, await payee.serve(), how=How.FALLBACK)


async def _our_receiver_has_no_coins(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    uri = await payee.ask(AMOUNT)
    paid, _ = await books.both(payer.pay(uri), payee.serve(), how=How.FALLBACK)
    assert paid.why == "unavailable", paid.why


async def _our_receiver_wants_more_fee(
    payer: TheirSender, payee: OurReceiver, books: Books
) -> None:
    """What is not worth holding on to is no fallback of ours; the sender's own still pays us."""
    paid, got = await at_once(payer.pay(await payee.ask(AMOUNT)), payee.serve())
    await books.close(paid, how=How.FALLBACK)
    assert paid.why == "original-psbt-rejected"
    # Our session closes as soon as it has said so, unless it finds itself paid by then.
    assert got.how is How.FALLBACK or Reason.ORIGINAL_NOT_BROADCASTABLE in got.why


async def _rejected(payer: TheirSender) -> None:
    await payer.post()
    answer = await payer.answer()
    assert answer.get("code") == "original-psbt-rejected", answer


async def _our_receiver_cannot_broadcast(
    payer: TheirSender, payee: OurReceiver, books: Books
) -> None:
    """The coin is spent already; so there is nothing to be paid with, and both say so.

    The link stays open for another payment until its time is over.
    """
    uri = await payee.ask(AMOUNT)
    await payer.prepare(uri.replace(address_in(uri), stranger(1)))
    elsewhere = payer.original
    await payer.prepare(uri)
    assert books.stage.send(elsewhere)
    await _rejected(payer)
    await until(payee.session, receiver.Initialized)
    payee.clock.ahead = 600 + payee.agent.services.policy.grace + 1
    assert (await payee.serve()).how is How.NOT_AT_ALL
    assert await payee.balance() == books.paid_to


async def _our_receiver_saw_the_coins(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    """A prober offers the same coins to two of our sessions: only the first is answered with
    one of ours."""
    await payer.prepare(await payee.ask(AMOUNT))
    await payer.post()
    assert (await payer.answer())["state"] == "Proposal"
    await payer.prepare(await payee.ask(AMOUNT))
    await _rejected(payer)
    paid = await payer.fall_back()
    assert paid.how is How.FALLBACK
    assert await payee.balance() == books.paid_to + AMOUNT


_UNBROADCASTABLE = _refused_by_them(lambda _: {"broadcastable": False})
_SEEN = _refused_by_them(lambda original: {"seen": list(map(str, original.contested()))})
_STRICT = Purses(policy=replace(EAGER, min_fee_rate=FeeRate.from_sat_per_vb(20)))

ENDINGS = (
    we_pay(_CANCELLED, "by the sender, who pays without", _our_sender_cancels),
    we_pay(_CANCELLED, "by the receiver, who broadcasts", _their_receiver_cancels),
    we_pay(_EXPIRED, "while the receiver is silent", _our_sender_expires),
    we_pay(_REFUSED, "the network refuses the Original", _UNBROADCASTABLE),
    we_pay(_REFUSED, "the coins were seen before", _SEEN),
    they_pay(_CANCELLED, "by the sender, who pays without", _their_sender_cancels),
    they_pay(_CANCELLED, "by the receiver, who broadcasts", _our_receiver_cancels),
    they_pay(_EXPIRED, "while the receiver is silent", _their_sender_expires),
    they_pay(_REFUSED, "the receiver has no coins", _our_receiver_has_no_coins, POOR),
    they_pay(_REFUSED, "the Original's fee is too low", _our_receiver_wants_more_fee, _STRICT),
    they_pay(_REFUSED, "the network refuses the Original", _our_receiver_cannot_broadcast),
    they_pay(_REFUSED, "the coins were seen before", _our_receiver_saw_the_coins),
)
