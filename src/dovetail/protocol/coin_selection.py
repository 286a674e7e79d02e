"""Which of the receiver's coins to add (BIP 78, Impacted heuristics and UTXO probing attack)."""

from collections.abc import Collection

from dovetail.bitcoin.units import FeeRate
from dovetail.crypto.entropy import Entropy, shuffled, system
from dovetail.errors import InvalidPsbt
from dovetail.protocol.coin import Coin
from dovetail.protocol.draft import Draft
from dovetail.protocol.fees import fee_at, total

_Rank = tuple[bool, bool, bool]


def select_coins(
    draft: Draft, candidates: Collection[Coin], *, entropy: Entropy = system
) -> tuple[Coin, ...]:
    """The coin to add, more only where the receiver's outputs take more than one; () for none.

    A coin that a sender has seen before goes first, whatever else speaks against it (P3). Then
    one that does not make an input look unnecessary (UIH2: the smallest input is no larger than
    the smallest output, so that a plain payment could have done without it). Then one that does
    not make the sender's change the smallest output, which is what an observer takes for change
    (UIH1). What is left is drawn with `entropy`; the order of candidates does not matter.
    Coins we cannot weigh, or that cost more to spend than they are worth, are left out.
    """
    rate = max(
        draft.params.min_fee_rate,
        FeeRate.of(draft.original.fee, draft.original.extract().weight),
    )
    taken = set(draft.original.unsigned_transaction.contested())
    usable = [
        coin
        for coin in sorted(candidates, key=lambda coin: coin.outpoint)
        if coin.outpoint not in taken and _worth(coin, rate) > 0
    ]
    drawn = shuffled(entropy, usable)
    drain = draft.outputs[draft.drain]
    missing = _deficit(draft) + max(0, int(drain.script_pubkey.dust_limit) - int(drain.value))
    enough = [coin for coin in drawn if _worth(coin, rate) >= missing]
    if enough:
        return (min(enough, key=_Ranking(draft).of),)
    return _largest_first(drawn, missing, rate)


def _worth(coin: Coin, rate: FeeRate) -> int:
    """What the coin brings beyond what it costs to spend; 0 for one we cannot weigh."""
    try:
        return int(coin.utxo.value) - fee_at(rate, coin.weight)
    except InvalidPsbt:
        return 0


def _deficit(draft: Draft) -> int:
    """How much more the receiver's outputs pay than the sender gave."""
    return max(0, total(draft.outputs) - total(draft.original.unsigned_transaction.outputs))


class _Ranking:
    """Tells coins apart. What they share is found once: both outputs and coins may be many."""

    def __init__(self, draft: Draft) -> None:
        values = [int(txout.value) for txout in draft.outputs]
        self._drain = values[draft.drain] - _deficit(draft)
        self._others = min(values[: draft.drain] + values[draft.drain + 1 :], default=None)
        self._senders = {values[index] for index in draft.sender_positions()}
        self._smallest_input = min(int(utxo.value) for utxo in draft.original.utxos())

    def of(self, coin: Coin) -> _Rank:
        """Smaller is better."""
        if self._others is None:  # without change, neither heuristic says anything
            return (not coin.exposed, False, False)
        value = int(coin.utxo.value)
        smallest = min(self._others, self._drain + value)
        unnecessary_input = min(self._smallest_input, value) <= smallest
        change_revealed = smallest in self._senders
        return (not coin.exposed, unnecessary_input, change_revealed)


def _largest_first(coins: tuple[Coin, ...], missing: int, rate: FeeRate) -> tuple[Coin, ...]:
    """As few coins as reach the sum, exposed ones first (P3); () when all do not."""
    chosen: list[Coin] = []
    for coin in sorted(coins, key=lambda coin: (not coin.exposed, -int(coin.utxo.value))):
        chosen.append(coin)
        missing -= _worth(coin, rate)
        if missing <= 0:
            return tuple(chosen)
    return ()
