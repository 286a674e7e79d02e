"""Fee rates: the chosen one is paid, and the receiver gets what it asked for."""

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.interop.combinations import at_once
from tests.interop.dovetail_peer import KINDS
from tests.interop.environment import Stage
from tests.interop.mailrooms import Make
from tests.interop.pairing import AMOUNT, Pairing, Purses, both

from dovetail.bitcoin import FeeRate
from dovetail.bitcoin.weights import predicted_input_weight
from dovetail.protocol.fees import fee_at

US, THEM = Make.OURS, Make.THEIRS
CHOSEN = {US: ("1", "5", "20.5", "50"), THEM: ("1", "5", "20", "50")}
"""In sat/vB; our program on rust-payjoin reads whole ones."""
LEAST = "1"
_SHARED = 3
"""The weight units of marker, flag and one empty witness, which rust-payjoin counts nowhere."""


def rates() -> Iterator[Pairing]:
    """The rates in turn, over every pair of script types in both directions.

    The least rate is tried with every pair: it is the receiver's own minimum too.
    """
    for (sender, receiver), (number, (paying, charging)), least in product(
        ((US, THEM), (THEM, US)), enumerate(product(KINDS, KINDS)), (True, False)
    ):
        rotated = CHOSEN[sender][(number + number // 4) % 4]
        if not least and rotated == LEAST:
            continue
        chosen = LEAST if least else rotated
        yield Pairing(
            "Fee rates",
            f"{chosen} sat/vB, {paying} pays {charging}",
            sender,
            receiver,
            receiver,
            sender,
            partial(_exact, chosen=chosen, paying=paying, charging=charging),
        )


async def _exact(
    stage: Stage, pairing: Pairing, *, chosen: str, paying: str, charging: str
) -> None:
    rate = FeeRate.from_sat_per_vb(chosen)
    purses = Purses(sender_kind=paying, receiver_kind=charging)
    async with both(stage, pairing, purses) as (payer, payee, books):
        uri = await payee.ask(AMOUNT)
        _, got = await books.close(*await at_once(payer.pay(uri, rate=rate), payee.serve()))
        costs = stage.costs
    assert costs is not None
    assert costs.fee >= fee_at(rate, costs.weight - _SHARED), costs
    input_of = {kind: predicted_input_weight(KINDS[kind]) for kind in (paying, charging)}
    # rust-payjoin offers the cost of an input like its own, and we of one like the payee's too.
    left = 0 if pairing.sender is US else max(0, input_of[charging] - input_of[paying])
    most = fee_at(rate, left + _SHARED) if left else 0
    assert AMOUNT - got <= most, costs
