"""Every sender with every receiver through every directory and relay; every script type."""

from itertools import product

from tests.interop.books import AMOUNT, Books
from tests.interop.dovetail_peer import KINDS
from tests.interop.pairing import THEM, US, Pairing, Payee, Payer, Purses, anybody, they_pay, we_pay


async def payjoin(payer: Payer, payee: Payee, books: Books) -> None:
    await books.both(payer.pay(await payee.ask(AMOUNT)), payee.serve())


COMBINATIONS = tuple(
    Pairing("Every combination", "a payjoin", sender, receiver, directory, relay, anybody(payjoin))
    for sender, receiver, directory, relay in product((US, THEM), repeat=4)
)
SCRIPT_TYPES = tuple(
    way(
        "Script types",
        f"{paying} pays {charging}",
        payjoin,
        Purses(sender_kind=paying, receiver_kind=charging),
    )
    for way, paying, charging in product((we_pay, they_pay), KINDS, KINDS)
)
