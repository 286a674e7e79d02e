"""The coins that a BDK wallet can spend, with the data to sign them."""

from collections.abc import Collection

from bdkpython import Amount, ChainPosition, LocalOutput, TxBuilder, TxOrdering
from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats
from dovetail.bitcoin.weights import input_weight
from dovetail.protocol.coin import Coin
from dovetail.wallets.bdk.errors import building
from dovetail.wallets.bdk.signing import coin_input, outpoint_of

_COINBASE_MATURITY = 100


def usable(core: BdkCore) -> list[LocalOutput]:
    """Return the confirmed, mature and unspent coins."""
    height = core.latest_checkpoint().height
    return [output for output in core.list_unspent() if _is_usable(core, output, height)]


def _is_usable(core: BdkCore, output: LocalOutput, height: int) -> bool:
    position = output.chain_position
    if not isinstance(position, ChainPosition.CONFIRMED):
        return False
    found = core.get_tx(output.outpoint.txid)
    if found is None or not found.transaction.is_coinbase():
        return True
    depth = height - position.confirmation_block_time.block_id.height + 1
    return bool(depth >= _COINBASE_MATURITY)


def with_signing_data(core: BdkCore, outputs: list[LocalOutput]) -> tuple[Coin, ...]:
    """Return the coins with the PSBT fields that a signer needs."""
    if not outputs:
        return ()
    # BDK gives an input's key paths and scripts only in a PSBT, so build one and drop it.
    builder = (
        TxBuilder()
        .add_utxos([output.outpoint for output in outputs])
        .manually_selected_only()
        .drain_to(outputs[0].txout.script_pubkey)
        .fee_absolute(Amount.from_sat(0))
        .allow_dust(True)
        .ordering(TxOrdering.UNTOUCHED)
        .only_witness_utxo()
    )
    with building("The wallet has no coins; fund it."):
        psbt = Psbt.from_base64(str(builder.finish(core).serialize()))
    outpoints = psbt.unsigned_transaction.contested()
    pairs = zip(outpoints, psbt.inputs, psbt.utxos(), strict=True)
    return tuple(Coin(at, coin_input(core, at, known, utxo), utxo) for at, known, utxo in pairs)


def usable_value(core: BdkCore, unspendable: Collection[OutPoint]) -> Sats:
    """Return the value of the usable coins without `unspendable`."""
    return Sats.sum(
        output.txout.value.to_sat()
        for output in usable(core)
        if outpoint_of(output) not in unspendable
    )


def uneconomical_coins(core: BdkCore, fee_rate: FeeRate) -> frozenset[OutPoint]:
    """Return the coins that cost more in fees than their value."""
    return frozenset(
        coin.outpoint
        for coin in with_signing_data(core, usable(core))
        if coin.utxo.value <= fee_rate.fee(input_weight(coin.psbt_input, coin.utxo))
    )
