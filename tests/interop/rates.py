"""Fee rates: the chosen one is paid, and the receiver gets what it asked for."""

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.interop.books import AMOUNT, Books, at_once
from tests.interop.dovetail_peer import KINDS, OurSender
from tests.interop.pairing import Pairing, Payee, Payer, Purses, they_pay, we_pay

from dovetail.bitcoin import FeeRate, predicted_input_weight
from dovetail.protocol.fees import fee_at

CHOSEN = {we_pay: ("1", "5", "20.5", "50"), they_pay: ("1", "5", "20", "50")}
"""In sat/vB; our program on rust-payjoin reads whole ones."""
LEAST = "1"
_SHARED = 3
"""The weight units of marker, flag and one empty witness, which rust-payjoin counts nowhere."""


async def _exact(
    payer: Payer, payee: Payee, books: Books, *, chosen: str, paying: str, charging: str
) -> None:
    rate, uri = FeeRate.from_sat_per_vb(chosen), await payee.ask(AMOUNT)
    _, got = await books.close(*await at_once(payer.pay(uri, rate=rate), payee.serve()))
    costs = books.stage.costs
    assert costs is not None
    assert costs.fee >= fee_at(rate, costs.weight - _SHARED), costs
    input_of = {kind: predicted_input_weight(KINDS[kind]) for kind in (paying, charging)}
    # rust-payjoin offers the cost of an input like its own, and we of one like the payee's too.
    ours = isinstance(payer, OurSender)
    left = 0 if ours else max(0, input_of[charging] - input_of[paying])
    most = fee_at(rate, left + _SHARED) if left else 0
    assert AMOUNT - got <= most, costs


def rates() -> Iterator[Pairing]:
    """The rates in turn, over every pair of script types in both directions.

    The least rate is tried with every pair: it is the receiver's own minimum too.
    """
    for way, (number, (paying, charging)), least in product(
        CHOSEN, enumerate(product(KINDS, KINDS)), (True, False)
    ):
        rotated = CHOSEN[way][(number + number // 4) % 4]
        if not least and rotated == LEAST:
            continue
        chosen = LEAST if least else rotated
        yield way(
            "Fee rates",
            f"{chosen} sat/vB, {paying} pays {charging}",
            partial(_exact, chosen=chosen, paying=paying, charging=charging),
            Purses(sender_kind=paying, receiver_kind=charging),
        )
