"""BIP 78 over HTTPS: a sender posts to the receiver's own endpoint, and its answer is all."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

from tests.interop.combinations import THEM, US, at_once
from tests.interop.dovetail_peer import OurV1Receiver, our_sender, our_v1_receiver
from tests.interop.environment import Ending, How, Stage
from tests.interop.mailrooms import Make
from tests.interop.pairing import AMOUNT, Books, Pairing, Payer
from tests.interop.rust_peer import TheirSender, TheirV1Receiver, their_sender, their_v1_receiver

from dovetail.sessions.reasons import Reason

_V1 = "v1 over HTTPS"
_COINS = (150_000,)
V1Payee = OurV1Receiver | TheirV1Receiver


def version_one() -> Iterator[Pairing]:
    """All of them."""
    for sender, receiver in ((US, US), (US, THEM), (THEM, US)):
        yield Pairing(_V1, "a payjoin", sender, receiver, None, None, _payjoin, "v1")
    for what, play in (
        ("output substitution, allowed and done", _their_substitution),
        ("the network refuses the Original", _their_receiver_refuses),
    ):
        yield Pairing(_V1, what, US, THEM, None, None, play, "v1")
    for sender in (US, THEM):
        yield Pairing(_V1, "the receiver has no coins", sender, US, None, None, _no_coins, "v1")


async def _payjoin(stage: Stage, pairing: Pairing) -> None:
    async with _both(stage, pairing) as (payer, payee, books):
        paid, got = await _paid(payer, payee)
        await books.close(paid, got)


async def _their_substitution(stage: Stage, pairing: Pairing) -> None:
    async with _both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, TheirV1Receiver)
        payee.terms["substitute"] = (await payee.script()).hex()
        paid, got = await _paid(payer, payee)
        await books.close(paid, got)


async def _their_receiver_refuses(stage: Stage, pairing: Pairing) -> None:
    async with _both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, TheirV1Receiver)
        payee.terms["broadcastable"] = False
        paid, got = await _paid(payer, payee)
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == Reason.RECEIVER_ORIGINAL_PSBT_REJECTED


async def _no_coins(stage: Stage, pairing: Pairing) -> None:
    async with _both(stage, pairing, coins=()) as (payer, payee, books):
        paid, got = await _paid(payer, payee)
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why in (Reason.RECEIVER_UNAVAILABLE, "unavailable")


async def _paid(payer: Payer, payee: V1Payee) -> tuple[Ending, Ending]:
    uri = await payee.ask(AMOUNT)
    return await at_once(_pay(payer, uri), payee.serve())


async def _pay(payer: Payer, uri: str) -> Ending:
    if isinstance(payer, TheirSender):
        await payer.prepare(uri, version=1)
        return await payer.finish(await payer.post_v1())
    return await payer.pay(uri)


@asynccontextmanager
async def _both(
    stage: Stage, pairing: Pairing, coins: tuple[int, ...] = _COINS
) -> AsyncGenerator[tuple[Payer, V1Payee, Books]]:
    # The sender leaves first: a server says goodbye to TLS clients that are still there, and waits.
    async with (
        _payee(stage, pairing.receiver, coins) as payee,
        _payer(stage, pairing.sender) as payer,
        stage.mining(),
    ):
        yield payer, payee, await Books.open(stage, payer, payee)


@asynccontextmanager
async def _payer(stage: Stage, make: Make) -> AsyncGenerator[Payer]:
    if make is Make.OURS:
        async with our_sender(stage, None, 200_000) as ours:
            yield ours
    else:
        async with their_sender(stage, "", 200_000) as theirs:
            yield theirs


@asynccontextmanager
async def _payee(stage: Stage, make: Make, coins: tuple[int, ...]) -> AsyncGenerator[V1Payee]:
    if make is Make.OURS:
        async with our_v1_receiver(stage, *coins) as ours:
            yield ours
    else:
        async with their_v1_receiver(stage, *coins) as theirs:
            yield theirs
