"""BIP 78 over HTTPS: a sender posts to the receiver's own endpoint, and its answer is all."""

from typing import Any

from tests.interop.books import AMOUNT, Books
from tests.interop.environment import Ending, How
from tests.interop.mailrooms import Make
from tests.interop.pairing import POOR, THEM, US, USUAL, Act, Pairing, Payee, Payer, Purses, anybody
from tests.interop.rust_peer import TheirSender, TheirV1Receiver

from dovetail.sessions.reasons import Reason


async def _payjoin(payer: Payer, payee: Payee, books: Books, **how: Any) -> Ending:
    uri = await payee.ask(AMOUNT)
    paying = payer.pay_v1(uri) if isinstance(payer, TheirSender) else payer.pay(uri)
    return (await books.both(paying, payee.serve(), **how))[0]


async def _their_substitution(payer: Payer, payee: TheirV1Receiver, books: Books) -> None:
    payee.terms["substitute"] = (await payee.script()).hex()
    await _payjoin(payer, payee, books)


async def _their_receiver_refuses(payer: Payer, payee: TheirV1Receiver, books: Books) -> None:
    payee.terms["broadcastable"] = False
    paid = await _payjoin(payer, payee, books, how=How.FALLBACK)
    assert paid.why == Reason.RECEIVER_ORIGINAL_PSBT_REJECTED


async def _no_coins(payer: Payer, payee: Payee, books: Books) -> None:
    paid = await _payjoin(payer, payee, books, how=How.FALLBACK)
    assert paid.why in (Reason.RECEIVER_UNAVAILABLE, "unavailable")


_ROWS: tuple[tuple[str, Make, Make, Act, Purses], ...] = (
    ("a payjoin", US, US, _payjoin, USUAL),
    ("a payjoin", US, THEM, _payjoin, USUAL),
    ("a payjoin", THEM, US, _payjoin, USUAL),
    ("output substitution, allowed and done", US, THEM, _their_substitution, USUAL),
    ("the network refuses the Original", US, THEM, _their_receiver_refuses, USUAL),
    ("the receiver has no coins", US, US, _no_coins, POOR),
    ("the receiver has no coins", THEM, US, _no_coins, POOR),
)
VERSION_ONE = tuple(
    Pairing("v1 over HTTPS", what, sender, receiver, None, None, anybody(act, purses), "v1")
    for what, sender, receiver, act, purses in _ROWS
)
