"""What a lying counterparty says: proposals that steal, originals that trick."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from tests.properties.histories.accounts import AMOUNT
from tests.properties.histories.charging import OURS, RATES
from tests.properties.histories.paying import payment
from tests.properties.histories.people import (
    ALICE,
    ALICES,
    BOB,
    BOBS,
    CHILD,
    MALLORY,
    MALLORYS,
    Person,
)

from dovetail.bitcoin import Psbt, PsbtInput, Sats, Script, Transaction, TxIn, TxOut
from dovetail.crypto.entropy import SeededEntropy
from dovetail.protocol import Coin, ErrorCode, ErrorReply, encode_original
from dovetail.protocol.contribution import (
    apply_fees,
    begin_draft,
    commit_outputs,
    finalize,
    place_coins,
)
from dovetail.protocol.original import prepare_original, receiver_outputs
from dovetail.protocol.params import FeeContribution, SenderParams

Lie = Callable[[Transaction], Transaction]


@lru_cache
def _honest(coins: int) -> Psbt:
    original, params = payment(coins)
    disclosed = prepare_original(original, payee=BOB.script(0))
    indices = receiver_outputs(disclosed.unsigned_transaction, (BOB.script(0),))
    entropy = SeededEntropy(b"liar")
    drafted = commit_outputs(begin_draft(disclosed, params, indices), entropy=entropy)
    placed = place_coins(drafted, BOBS[:1], entropy=entropy)
    paid = apply_fees(placed, min_fee_rate=RATES[0], max_fee_rate=RATES[1])
    return finalize(paid, BOB.sign(paid.psbt()))


def moved(tx: Transaction, script: Script, amount: int) -> Transaction:
    """Pay the outputs of one script `amount` more, or less."""
    outputs = [
        TxOut(Sats(max(0, o.value + amount)), o.script_pubkey) if o.script_pubkey == script else o
        for o in tx.outputs
    ]
    return replace(tx, outputs=tuple(outputs))


def without(tx: Transaction, script: Script) -> Transaction:
    return replace(tx, outputs=tuple(o for o in tx.outputs if o.script_pubkey != script))


def redirected(tx: Transaction, old: Script, new: Script) -> Transaction:
    """What goes to one script goes to another."""
    outputs = [TxOut(o.value, new) if o.script_pubkey == old else o for o in tx.outputs]
    return replace(tx, outputs=tuple(outputs))


CHANGE, PAYEE = ALICE.script(7), BOB.script(0)
_ANOTHER = TxIn(ALICES[2].outpoint, sequence=0xFFFFFFFD)

_OTHERS = BOBS[1:]
_CLAIMED = 700
"""What a receiver says that its coin holds beyond what it does."""


def diluted(tx: Transaction) -> Transaction:
    """More inputs of the receiver's, which pay nothing for their weight."""
    brought = sum(int(coin.utxo.value) for coin in _OTHERS)
    inputs = (TxIn(coin.outpoint, sequence=0xFFFFFFFD) for coin in _OTHERS)
    return replace(moved(tx, PAYEE, brought), inputs=(*tx.inputs, *inputs))


LIES: dict[str, Lie] = {
    "claims more for its coin": lambda tx: moved(tx, PAYEE, _CLAIMED),
    "dilutes the fee": diluted,
    "takes from the change": lambda tx: moved(moved(tx, CHANGE, -5_000), PAYEE, 5_000),
    "takes one satoshi": lambda tx: moved(moved(tx, CHANGE, -1), PAYEE, 1),
    "burns the change": lambda tx: moved(tx, CHANGE, -5_000),
    "keeps the change": lambda tx: redirected(tx, CHANGE, BOB.script(3)),
    "forgets the change": lambda tx: without(tx, CHANGE),
    "pays itself less": lambda tx: moved(tx, PAYEE, -1_000),
    "spends another coin of the sender": lambda tx: replace(tx, inputs=(*tx.inputs, _ANOTHER)),
    "leaves out an input": lambda tx: replace(
        tx, inputs=tuple(i for i in tx.inputs if i.previous_output != ALICES[0].outpoint)
    ),
    "brings no input": lambda tx: replace(
        tx, inputs=tuple(i for i in tx.inputs if i.previous_output != BOBS[0].outpoint)
    ),
    "turns the inputs round": lambda tx: replace(tx, inputs=tx.inputs[::-1]),
    "mixes sequences": lambda tx: replace(
        tx, inputs=(replace(tx.inputs[0], sequence=0xFFFFFFFE), *tx.inputs[1:])
    ),
    "changes the version": lambda tx: replace(tx, version=1),
    "locks the time": lambda tx: replace(tx, lock_time=500_000),
}
WORDS: dict[str, bytes] = {
    **{f"says {code}": ErrorReply(code).serialize() for code in ErrorCode},
    "says what nobody knows": b'{"errorCode":"because","message":"of you"}',
    "says half a sentence": b'{"errorCode":"unavail',
    "babbles": b"psbt\xff\x01\x00",
    "says nothing": b"",
}
ANSWERS = ("honest", "echoes the Original", "leaves its input unsigned", *LIES, *WORDS)
"""What a receiver may answer."""


@lru_cache(maxsize=256)
def answer(coins: int, lie: str) -> bytes:
    if lie in WORDS:
        return WORDS[lie]
    if lie == "echoes the Original":
        return payment(coins)[0].serialize()
    honest = _honest(coins)
    if lie == "honest":
        return honest.serialize()
    if lie == "leaves its input unsigned":
        return Psbt.from_unsigned(honest.unsigned_transaction).serialize()
    transaction = LIES[lie](honest.unsigned_transaction)
    psbt = Psbt.from_unsigned(transaction)
    theirs = {coin.outpoint: coin for coin in BOBS}
    for position, txin in enumerate(transaction.inputs):
        coin = theirs.get(txin.previous_output)
        if coin is not None:
            psbt = psbt.with_input(position, coin.psbt_input)
    psbt = BOB.sign(psbt)
    if lie == "claims more for its coin":
        psbt = _claiming(psbt)
    return psbt.serialize()


def _claiming(psbt: Psbt) -> Psbt:
    """What is claimed covers what was taken of the fee; the signature is over the true amount."""
    for position, txin in enumerate(psbt.unsigned_transaction.inputs):
        if txin.previous_output == BOBS[0].outpoint:
            utxo = BOBS[0].utxo
            claimed = TxOut(Sats(utxo.value + _CLAIMED), utxo.script_pubkey)
            psbt = psbt.with_input(position, psbt.inputs[position].with_witness_utxo(claimed))
    return psbt


THEIRS = (*MALLORYS, CHILD)
"""The sender's coins; the last rests on an unconfirmed transaction."""
ORIGINALS = (
    "honest",
    "pays itself",
    "forges the signature",
    "says another amount",
    "pays little",
    "pays nobody",
    "spends the receiver's coin",
    "is not signed",
    "promises too much",
    "speaks version 3",
    "babbles",
)
"""What a sender may send."""


def _forged(signed: PsbtInput) -> PsbtInput:
    """A signature with one bit flipped, for a coin that is perhaps an honest payer's."""
    signature, *rest = signed.final_script_witness or ()
    return signed.with_final(
        witness=(signature[:10] + bytes([signature[10] ^ 1]) + signature[11:], *rest)
    )


def _richer(signed: PsbtInput, coin: Coin) -> PsbtInput:
    return signed.with_witness_utxo(TxOut(Sats(coin.utxo.value + 2_000), coin.utxo.script_pubkey))


@lru_cache(maxsize=512)
def original(index: int, coin: int, lie: str) -> tuple[Psbt, SenderParams]:
    """An Original PSBT of Mallory's for Bob's address `index`."""
    payee = MALLORY.script(5) if lie in ("pays nobody", "pays itself") else BOB.script(index)
    who: Person = MALLORY
    coins: tuple[Coin, ...] = (THEIRS[coin],)
    if lie == "spends the receiver's coin":
        who, coins = BOB, (BOBS[coin % len(BOBS)],)
    amount = 1_000 if lie == "pays little" else 15_000 if who is BOB else int(AMOUNT)
    psbt = who.pay(payee, amount, coins=coins, fee=500)
    if lie == "is not signed":
        psbt = psbt.with_input(0, coins[0].psbt_input)
    if lie == "forges the signature":
        psbt = psbt.with_input(0, _forged(psbt.inputs[0]))
    if lie == "says another amount":
        psbt = psbt.with_input(0, _richer(psbt.inputs[0], coins[0]))
    most = 20_000 if lie == "promises too much" else 400
    return psbt, SenderParams(
        min_fee_rate=RATES[0], fee_contribution=FeeContribution(Sats(most), 1)
    )


@lru_cache(maxsize=512)
def body(index: int, coin: int, lie: str) -> bytes:
    psbt, params = original(index, coin, lie)
    if lie == "babbles":
        return b"cHNidP8\n"
    if lie == "speaks version 3":
        return f"{psbt.to_base64()}\nv=3".encode()
    return encode_original(psbt, params)


def signed_payjoin(proposal: Psbt, index: int, coin: int) -> Transaction:
    """Mallory keeps her word after all."""
    psbt = proposal
    for position, txin in enumerate(proposal.unsigned_transaction.inputs):
        if txin.previous_output == THEIRS[coin].outpoint:
            psbt = psbt.with_input(position, THEIRS[coin].psbt_input)
    return MALLORY.sign(psbt).extract()


__all__ = ["ANSWERS", "ORIGINALS", "OURS", "answer", "body", "original", "signed_payjoin"]
