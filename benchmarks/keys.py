"""A sender, Alice, and a receiver, Bob, with coins and real signatures."""

from dataclasses import replace
from functools import cache

from tests.support.keys import Keys

from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.protocol.coin import Coin

ALICE, BOB = Keys("alice"), Keys("bob")
AMOUNT = Sats(50_000)
NOW = UnixTime(1_800_000_000)
RELAY = "https://relay.example"
KEYS = 8
"""How many scripts a wallet watches."""
ADDRESS = BOB.address(0)
"""Bob's; he adds the coins below, which his wallet has at hand."""

_SIGNATURE = b"\x30\x44\x02\x20" + b"\x11" * 32 + b"\x02\x20" + b"\x11" * 32 + b"\x01"


@cache
def original(*, inputs: int = 2, batch: int = 0) -> bytes:
    """Alice's payment to Bob from this many P2WPKH coins, signed, with change: a PSBT."""
    values = (60_000, 45_000, *(11_000 + n for n in range(inputs - 2)))
    coins = tuple(coin(ALICE, index, value, batch=batch) for index, value in enumerate(values))
    return ALICE.pay(ADDRESS.script_pubkey, AMOUNT, coins=coins, fee=500 * inputs).serialize()


@cache
def coin(wallet: Keys, index: int, value: int, *, batch: int = 0) -> Coin:
    """A P2WPKH coin; with a `batch`, with the transaction it is from, of that many outputs.

    Wallets carry it along to guard hardware signers against fee attacks.
    """
    bare = wallet.coin(index % KEYS, value)
    bare = replace(bare, outpoint=OutPoint(bare.outpoint.txid, index))
    if not batch:
        return bare
    spent = TxIn(
        OutPoint(Txid(bytes([index]) * 32), 0),
        witness=(_SIGNATURE, b"\x02" + b"\x22" * 32),
    )
    others = tuple(
        TxOut(Sats(10_000 + n), Keys(f"customer {index}").script(n)) for n in range(batch - 1)
    )
    payout = Transaction(2, (spent,), (*others, bare.utxo), 0)
    return replace(
        bare,
        outpoint=OutPoint(payout.txid, batch - 1),
        psbt_input=bare.psbt_input.with_non_witness_utxo(payout),
    )
