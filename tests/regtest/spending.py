"""Coins that anyone can spend, and wallets that really sign."""

from collections.abc import Sequence

import bdkpython as bdk

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, TxIn, TxOut
from dovetail.bitcoin.hashes import sha256
from dovetail.regtest.node import RegtestNode

# Another script than the miner's own, so that the miner leaves these coins alone.
WITNESS_SCRIPT = b"\x51\x61"
OPEN_SCRIPT = Script(b"\x00\x20" + sha256(WITNESS_SCRIPT))
SOME_SCRIPT = Script(b"\x00\x14" + bytes(range(20)))
MINER_WITNESS = (b"\x51",)


def spend(
    coins: Sequence[OutPoint],
    outputs: Sequence[tuple[int, Script]],
    *,
    sequence: int = 0xFFFFFFFD,
    version: int = 2,
    lock_time: int = 0,
    witness: tuple[bytes, ...] = (WITNESS_SCRIPT,),
) -> Transaction:
    return Transaction(
        version=version,
        inputs=tuple(TxIn(coin, sequence=sequence, witness=witness) for coin in coins),
        outputs=tuple(TxOut(Sats(value), script) for value, script in outputs),
        lock_time=lock_time,
    )


def open_coins(node: RegtestNode, *values: int) -> tuple[OutPoint, ...]:
    """Confirmed coins that `spend` can spend."""
    paid = node.fund_many([TxOut(Sats(value), OPEN_SCRIPT) for value in values])
    return tuple(OutPoint(paid.txid, vout) for vout in range(len(values)))


class Wallet:
    """A bdkpython wallet with a published seed, on an Esplora server."""

    def __init__(self, url: str, *, taproot: bool = False) -> None:
        seed = bdk.Mnemonic.from_string("abandon " * 11 + "about")
        key = bdk.DescriptorSecretKey(bdk.NetworkKind.TEST, seed, None)
        make = bdk.Descriptor.new_bip86 if taproot else bdk.Descriptor.new_bip84
        self.wallet = bdk.Wallet(
            make(key, bdk.KeychainKind.EXTERNAL, bdk.NetworkKind.TEST),
            make(key, bdk.KeychainKind.INTERNAL, bdk.NetworkKind.TEST),
            bdk.Network.REGTEST,
            bdk.Persister.new_in_memory(),
        )
        self.client = bdk.EsploraClient(url)

    def address(self) -> str:
        return str(self.wallet.reveal_next_address(bdk.KeychainKind.EXTERNAL).address)

    def full_scan(self) -> None:
        request = self.wallet.start_full_scan().build()
        self.wallet.apply_update(self.client.full_scan(request, 5, 1))

    def sync(self) -> None:
        request = self.wallet.start_sync_with_revealed_spks().build()
        self.wallet.apply_update(self.client.sync(request, 1))

    @property
    def confirmed(self) -> int:
        return int(self.wallet.balance().confirmed.to_sat())

    @property
    def total(self) -> int:
        return int(self.wallet.balance().total.to_sat())

    def payment(self, script: Script, sats: int, sat_per_vb: int = 2) -> bdk.Transaction:
        psbt = (
            bdk.TxBuilder()
            .add_recipient(bdk.Script(bytes(script)), bdk.Amount.from_sat(sats))
            .fee_rate(bdk.FeeRate.from_sat_per_vb(sat_per_vb))
            .finish(self.wallet)
        )
        self.wallet.sign(psbt)
        return psbt.extract_tx()
