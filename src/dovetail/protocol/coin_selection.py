"""Selects the receiver's coins to add (BIP 78, Impacted heuristics and UTXO probing attack)."""

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
    """Select a coin to add, or several if the receiver's outputs need more; () for none.

    A coin that a sender has seen before comes first, whatever its other properties (P3). Next is
    one that makes no input look unnecessary (UIH2: the smallest input is no larger than the
    smallest output, so a plain payment would not need it). Next is one that does not make the
    sender's change the smallest output, which observers take for change (UIH1). Among equal coins
    `entropy` decides; the order of candidates does not matter. Coins of unknown weight, or that
    cost more to spend than their value, are left out.
    """
    rate = max(
        draft.params.min_fee_rate,
        FeeRate.of(draft.original.fee, draft.original.extract().weight),
    )
    taken = set(draft.original.unsigned_transaction.contested())
    usable = [
        coin
        for coin in sorted(candidates, key=lambda coin: coin.outpoint)
        if coin.outpoint not in taken and _effective_value(coin, rate) > 0
    ]
    drawn = shuffled(entropy, usable)
    drain = draft.outputs[draft.drain]
    missing = _deficit(draft) + max(0, int(drain.script_pubkey.dust_limit) - int(drain.value))
    enough = [coin for coin in drawn if _effective_value(coin, rate) >= missing]
    if enough:
        return (min(enough, key=_Ranking(draft).of),)
    return _largest_first(drawn, missing, rate)


def _effective_value(coin: Coin, rate: FeeRate) -> int:
    """Return the coin's value minus its spending fee; 0 if its weight is unknown."""
    try:
        return int(coin.utxo.value) - fee_at(rate, coin.weight)
    except InvalidPsbt:
        return 0


def _deficit(draft: Draft) -> int:
    """Return how much more the receiver's outputs pay than the sender paid."""
    return max(0, total(draft.outputs) - total(draft.original.unsigned_transaction.outputs))


class _Ranking:
    """Ranks coins. Values that all coins share are computed once."""

    def __init__(self, draft: Draft) -> None:
        values = [int(txout.value) for txout in draft.outputs]
        self._drain = values[draft.drain] - _deficit(draft)
        self._others = min(values[: draft.drain] + values[draft.drain + 1 :], default=None)
        self._senders = {values[index] for index in draft.sender_positions()}
        self._smallest_input = min(int(utxo.value) for utxo in draft.original.utxos())

    def of(self, coin: Coin) -> _Rank:
        """Return the coin's rank; smaller is better."""
        if self._others is None:  # neither heuristic applies without change
            return (not coin.exposed, False, False)
        value = int(coin.utxo.value)
        smallest = min(self._others, self._drain + value)
        unnecessary_input = min(self._smallest_input, value) <= smallest
        change_revealed = smallest in self._senders
        return (not coin.exposed, unnecessary_input, change_revealed)


def _largest_first(coins: tuple[Coin, ...], missing: int, rate: FeeRate) -> tuple[Coin, ...]:
    """Return as few coins as reach the sum, exposed ones first (P3); () if all are too few."""
    chosen: list[Coin] = []
    for coin in sorted(coins, key=lambda coin: (not coin.exposed, -int(coin.utxo.value))):
        chosen.append(coin)
        missing -= _effective_value(coin, rate)
        if missing <= 0:
            return tuple(chosen)
    return ()
