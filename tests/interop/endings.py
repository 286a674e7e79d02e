"""Payments that do not become payjoins: cancelled, expired, refused; each is made once all the
same."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.interop.combinations import THEM, US, at_once
from tests.interop.dovetail_peer import EAGER, OurReceiver, OurSender, until
from tests.interop.environment import Ending, How, Stage
from tests.interop.pairing import AMOUNT, Pairing, Purses, address_in, both, stranger
from tests.interop.rust_peer import TheirReceiver, TheirSender
from tests.interop.rust_program import PeerError

from dovetail.bitcoin import FeeRate, Transaction
from dovetail.runtime import decisions
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

_CANCELLED = "Cancelled"
_EXPIRED = "Expired"
_REFUSED = "Error replies"
SHORT = 2
"""Seconds that a session lives whose expiration rust-payjoin waits for on the system's clock."""


def endings() -> Iterator[Pairing]:
    """All of them."""
    for group, what, play in (
        (_CANCELLED, "by the sender, who pays without", _our_sender_cancels),
        (_CANCELLED, "by the receiver, who broadcasts", _their_receiver_cancels),
        (_EXPIRED, "while the receiver is silent", _our_sender_expires),
        (_REFUSED, "the network refuses the Original", _their_receiver_refuses),
        (_REFUSED, "the coins were seen before", _their_receiver_saw_the_coins),
    ):
        yield Pairing(group, what, US, THEM, THEM, US, play)
    for group, what, play in (
        (_CANCELLED, "by the sender, who pays without", _their_sender_cancels),
        (_CANCELLED, "by the receiver, who broadcasts", _our_receiver_cancels),
        (_EXPIRED, "while the receiver is silent", _their_sender_expires),
        (_REFUSED, "the receiver has no coins", _our_receiver_has_no_coins),
        (_REFUSED, "the Original's fee is too low", _our_receiver_wants_more_fee),
        (_REFUSED, "the network refuses the Original", _our_receiver_cannot_broadcast),
        (_REFUSED, "the coins were seen before", _our_receiver_saw_the_coins),
    ):
        yield Pairing(group, what, THEM, US, US, THEM, play)


async def _our_sender_cancels(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, OurSender)
        assert isinstance(payee, TheirReceiver)
        session = await payer.start(await payee.ask(AMOUNT))
        await until(session, lambda state: isinstance(state, sender.PollingForProposal))
        await decisions.cancel(payer.agent.services, session.session_id)
        await decisions.fallback(payer.agent.services, session.session_id)
        paid, got = await at_once(payer.end(), payee.serve())
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == Reason.CANCELLED_BY_US


async def _their_receiver_cancels(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, OurSender)
        assert isinstance(payee, TheirReceiver)
        paid, got = await at_once(payer.pay(await payee.ask(AMOUNT)), _cancelling(payee))
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == Reason.RECEIVER_TOOK_FALLBACK


async def _cancelling(payee: TheirReceiver) -> Ending:
    await payee.fetch()
    await payee.check()
    cancelled = await payee.peer.order("cancel")
    payee.stage.send(Transaction.parse(bytes.fromhex(cancelled["fallback"])))
    return await payee.paid()


async def _our_sender_expires(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, OurSender)
        assert isinstance(payee, TheirReceiver)
        session = await payer.start(await payee.ask(AMOUNT, lifetime=60))
        await until(session, lambda state: isinstance(state, sender.PollingForProposal))
        payer.clock.ahead = 61
        paid, got = await at_once(payer.end(), payee.serve())
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == Reason.EXPIRED_WAITING_FOR_PROPOSAL


async def _their_receiver_refuses(stage: Stage, pairing: Pairing) -> None:
    await _refused_by_them(stage, pairing, broadcastable=False)


async def _their_receiver_saw_the_coins(stage: Stage, pairing: Pairing) -> None:
    await _refused_by_them(stage, pairing, seen=True)


async def _refused_by_them(stage: Stage, pairing: Pairing, **facts: bool) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, TheirReceiver)
        paid, got = await at_once(payer.pay(await payee.ask(AMOUNT)), _refusing(payee, facts))
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == Reason.RECEIVER_ORIGINAL_PSBT_REJECTED


async def _refusing(payee: TheirReceiver, facts: dict[str, bool]) -> Ending:
    original = await payee.fetch()
    said: dict[str, object] = dict(facts)
    if facts.get("seen"):
        said["seen"] = [str(outpoint) for outpoint in original.contested()]
    checked = await payee.check(**said)
    return await payee.refuse(str(checked["refused"]))


async def _their_sender_cancels(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        assert isinstance(payee, OurReceiver)
        uri = await payee.ask(AMOUNT, away=True)
        await payer.prepare(uri)
        await payer.post()
        await payer.peer.order("cancel")
        paid = await payer.fall_back()
        payee.resume()
        await books.close(paid, await payee.serve(), how=How.FALLBACK)


async def _our_receiver_cancels(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        assert isinstance(payee, OurReceiver)
        await payer.prepare(await payee.ask(AMOUNT, away=True))
        await payer.post()
        await payee.lead(receiver.WantsOutputs)
        assert payee.session is not None
        services, session_id = payee.agent.services, payee.session.session_id
        await decisions.cancel(services, session_id)
        await decisions.fallback(services, session_id)
        payee.resume()
        await payer.peer.order("cancel")
        paid, got = await at_once(payer.fall_back(), payee.serve())
        await books.close(paid, got, how=How.FALLBACK)
        assert got.why == Reason.CANCELLED_BY_US


async def _their_sender_expires(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        assert isinstance(payee, OurReceiver)
        uri = await payee.ask(AMOUNT, lifetime=SHORT, away=True)
        await payer.prepare(uri)
        await payer.post()
        paid = await _waiting_in_vain(payer)
        payee.resume()
        await books.close(paid, await payee.serve(), how=How.FALLBACK)


async def _waiting_in_vain(payer: TheirSender) -> Ending:
    with pytest.raises(PeerError, match=r"(?i)expired") as expired:
        await payer.answer()
    return await payer.fall_back(str(expired.value))


async def _our_receiver_has_no_coins(stage: Stage, pairing: Pairing) -> None:
    await _refused_by_us(stage, pairing, Purses(charging=()), "unavailable")


async def _our_receiver_wants_more_fee(stage: Stage, pairing: Pairing) -> None:
    """What is not worth holding on to is no fallback of ours; the sender's own still pays us."""
    strict = Purses(policy=replace(EAGER, min_fee_rate=FeeRate.from_sat_per_vb(20)))
    async with both(stage, pairing, strict) as (payer, payee, books):
        paid, got = await at_once(payer.pay(await payee.ask(AMOUNT)), payee.serve())
        await books.close(paid, how=How.FALLBACK)
        assert paid.why == "original-psbt-rejected"
        # Our session closes as soon as it has said so, unless it finds itself paid by then.
        assert got.how is How.FALLBACK or Reason.ORIGINAL_NOT_BROADCASTABLE in got.why


async def _refused_by_us(stage: Stage, pairing: Pairing, purses: Purses, code: str) -> None:
    async with both(stage, pairing, purses) as (payer, payee, books):
        paid, got = await at_once(payer.pay(await payee.ask(AMOUNT)), payee.serve())
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == code, paid.why


async def _our_receiver_cannot_broadcast(stage: Stage, pairing: Pairing) -> None:
    """The coin is spent already; so there is nothing to be paid with, and both say so.

    The link stays open for another payment until its time is over.
    """
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        assert isinstance(payee, OurReceiver)
        uri = await payee.ask(AMOUNT)
        await payer.prepare(uri.replace(address_in(uri), stranger(1)))
        elsewhere = payer.fallback_transaction
        await payer.prepare(uri)
        assert elsewhere is not None
        assert stage.send(elsewhere)
        await payer.post()
        answer = await payer.answer()
        assert answer.get("code") == "original-psbt-rejected", answer
        assert payee.session is not None
        await until(payee.session, lambda state: isinstance(state, receiver.Initialized))
        payee.clock.ahead = 600 + payee.agent.services.policy.grace + 1
        assert (await payee.serve()).how is How.NOT_AT_ALL
        assert await payee.balance() == books.paid_to


async def _our_receiver_saw_the_coins(stage: Stage, pairing: Pairing) -> None:
    """A prober offers the same coins to two of our sessions: only the first is answered with
    one of ours."""
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        assert isinstance(payee, OurReceiver)
        await payer.prepare(await payee.ask(AMOUNT))
        await payer.post()
        assert (await payer.answer())["state"] == "Proposal"
        await payer.prepare(await payee.ask(AMOUNT))
        await payer.post()
        answer = await payer.answer()
        assert answer.get("code") == "original-psbt-rejected", answer
        paid = await payer.fall_back()
        assert paid.how is How.FALLBACK
        assert await payee.balance() == books.paid_to + AMOUNT
