"""A descriptor wallet of a Bitcoin Core node; the node keeps its keys and coins."""

import re
from collections.abc import Callable, Collection
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import msgspec

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    PsbtInput,
    Sats,
    Script,
    ScriptType,
    Transaction,
    TxOut,
    Weight,
    input_weight,
    output_weight,
)
from dovetail.errors import (
    InsufficientFunds,
    InvalidPsbt,
    ParseError,
    WalletError,
)
from dovetail.protocol.coin import Coin
from dovetail.wallets.core.locks import CoinLocks
from dovetail.wallets.core.node import CoreNode, named, parsed, per_kvb, txid_of
from dovetail.wallets.core.rpc import FAULTS, RpcError
from dovetail.wallets.core.signing import OwnOutput, own_outputs, sign_ours
from dovetail.wallets.ports import Balance
from dovetail.wallets.revocation import revocation
from dovetail.wallets.signing import with_what_proves

LOCKS = "core-locks.json"
"""The file in the wallet's folder that lists the coins locked in the node for sessions."""

_MAX_FEE_RATE = FeeRate(2**32)
_KEYPOOL_RAN_OUT = -12
_BARE_WEIGHT = 42  # version, lock time, counts, and the marker of witnesses
_VERSION, _NO_INPUTS, _ONE_OUTPUT = (2).to_bytes(4, "little"), b"\x00", b"\x01"
_NO_LOCK_TIME = bytes(4)
_OF_ONE_KEY = re.compile(r"wpkh\((?:\[[^]]*\])?([0-9a-f]{66})\)")


class _Mine(msgspec.Struct, frozen=True):
    trusted: Decimal
    untrusted_pending: Decimal
    immature: Decimal


class _Balances(msgspec.Struct, frozen=True):
    mine: _Mine


class _Unspent(msgspec.Struct, frozen=True):
    txid: str
    vout: int
    script: str = msgspec.field(name="scriptPubKey")
    amount: Decimal
    solvable: bool = True
    spendable: bool = True
    redeem_script: str | None = msgspec.field(name="redeemScript", default=None)
    witness_script: str | None = msgspec.field(name="witnessScript", default=None)
    descriptor: str = msgspec.field(name="desc", default="")


class _AddressInfo(msgspec.Struct, frozen=True):
    hex: str | None = None


class _Funded(msgspec.Struct, frozen=True):
    hex: str


class _Spender(msgspec.Struct, frozen=True):
    spendingtxid: str | None = None


class _Fees(msgspec.Struct, frozen=True):
    descendant: Decimal


class _Entry(msgspec.Struct, frozen=True):
    fees: _Fees


class _Mempool(msgspec.Struct, frozen=True):
    incrementalrelayfee: Decimal


class CoreWallet:
    """A `Wallet` of a node. Threads may share it, and processes may share its folder.

    `folder` holds the list of coins locked in the node for sessions, and no secrets.
    """

    def __init__(self, node: CoreNode, folder: Path) -> None:
        """It raises nothing, because the first request comes later."""
        self._node = node
        self._locks = CoinLocks(node, folder / LOCKS)
        self._reserved: Callable[[], Collection[OutPoint]] = tuple

    def __repr__(self) -> str:
        return f"<CoreWallet on {self.network}>"

    @property
    def network(self) -> Network:
        """The network its addresses belong to."""
        return self._node.network

    def sync(self) -> None:
        """Check that the wallet can be used; the node keeps it up to date.

        Raises `ConfigurationError` and `ChainError` as `CoreNode.check`.
        """
        self._node.check()

    def balance(self) -> Balance:
        """Its balance; `confirmed` includes locked coins, `unconfirmed` includes immature ones."""
        confirmed = _sats(self._node.ask("getbalance", Decimal, minconf=1))
        known = self._node.ask("getbalances", _Balances).mine
        total = _sats(known.trusted + known.untrusted_pending + known.immature)
        return Balance(confirmed=confirmed, unconfirmed=Sats(max(0, total - confirmed)))

    def new_address(self) -> Address:
        """Return an unused receiving address; that it is given out is durable."""
        return self._address("getnewaddress")

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Return those of `scripts` that it can spend."""
        return self._node.owned(scripts)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Return those of `outpoints` that pay it, spent or not, as far as it knows the chain."""
        return frozenset(own_outputs(self._node, list(outpoints)))

    def coins(self) -> tuple[Coin, ...]:
        """Return its confirmed spendable coins, with the PSBT fields for signing.

        Coins that the user locked are left out; coins locked for sessions are included.
        """
        listed = self._node.ask("listunspent", list[_Unspent], minconf=1, include_unsafe=False)
        usable = {
            OutPoint(txid_of(each.txid), each.vout): each
            for each in listed
            if each.solvable and each.spendable
        }
        wanted = (*usable, *sorted(self._locks.held() - usable.keys(), key=str))
        own = own_outputs(self._node, wanted)
        coins = [
            self._coin(outpoint, own[outpoint], usable.get(outpoint))
            for outpoint in wanted
            if outpoint in own and own[outpoint].confirmations > 0
        ]
        return tuple(coin for coin in coins if coin is not None)

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Lock the coins of sessions in the node, and unlock coins that they no longer hold.

        The locks survive a restart of the node. Locks of the user do not change.
        """
        self._reserved = reserved
        self._locks.settle(reserved)

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        """Return a signed and finalized PSBT that pays `amount` to `script`: an Original PSBT.

        It spends only confirmed coins and none of `unspendable`, signals replaceability (BIP 125),
        contains no key paths, locks nothing, and is not broadcast. Raises `InsufficientFunds`, and
        `WalletError` for dust, absurd fee rates and a wallet locked by its passphrase.
        """
        if fee_rate > _MAX_FEE_RATE:
            raise WalletError("The fee rate is far too high; choose a lower one.")
        if amount < script.dust_limit:
            raise WalletError("The amount is so small that nodes refuse it; pay more.")
        payment = TxOut(amount, script)
        with self._locks.holding(unspendable, self._reserved) if unspendable else nullcontext():
            built = self._funded(payment, fee_rate)
        if payment not in built.outputs or any(each in unspendable for each in built.contested()):
            raise WalletError("The node built another payment than was asked for; do not use it.")
        psbt = self._with_utxos(Psbt.from_unsigned(built))
        signed = sign_ours(self._node, psbt, built.contested())
        if not signed.is_finalized:
            raise WalletError("The node chose coins that its wallet cannot sign; lock those in it.")
        return signed

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """Sign and finalize those of `inputs` that it owns, with sighash ALL or DEFAULT.

        All other inputs stay unchanged. Raises `WalletError` when it owns none of them, when it
        does not know one of its own coins yet, when an input asks for another sighash type, and
        when the wallet is locked by its passphrase.
        """
        return sign_ours(self._node, psbt, inputs)

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        """Return a signed transaction that spends one of its coins back to itself; not broadcast.

        It pays `fee_rate`, or more if the transactions that it replaces in the node's mempool
        require more (BIP 125, rules 3 and 4). Raises `InsufficientFunds` if the coin cannot pay
        that, and `WalletError` if it is not the wallet's coin.
        """
        own = own_outputs(self._node, (outpoint,)).get(outpoint)
        psbt = revocation(
            outpoint,
            None if own is None else own.output,
            self._address("getrawchangeaddress").script_pubkey,
            fee_rate,
            replacing=lambda weight: self._replacement_fee(outpoint, weight),
        )
        return sign_ours(self._node, psbt, [outpoint]).extract()

    def _address(self, method: str) -> Address:
        try:
            return Address.parse(self._node.ask(method, str))
        except RpcError as error:
            if error.code != _KEYPOOL_RAN_OUT:
                raise
            raise WalletError(
                "The wallet that `core_wallet` names has no more addresses: unlock it with"
                " `bitcoin-cli walletpassphrase`."
            ) from error
        except ParseError:
            raise FAULTS.not_understood() from None

    def _coin(self, outpoint: OutPoint, own: OwnOutput, listed: _Unspent | None) -> Coin | None:
        """Return the coin with its scripts, or None if its signed size cannot be predicted."""
        script, psbt_input = own.output.script_pubkey, PsbtInput()
        redeem_script = None if listed is None else listed.redeem_script
        if script.type is ScriptType.P2SH and redeem_script is None:
            address = str(Address.from_script(script, self.network))
            redeem_script = self._node.ask("getaddressinfo", _AddressInfo, address=address).hex
        if redeem_script is not None:
            psbt_input = psbt_input.with_redeem_script(_bytes(redeem_script))
        if listed is not None and listed.witness_script is not None:
            psbt_input = psbt_input.with_witness_script(_bytes(listed.witness_script))
        key = None if listed is None else _key_of(listed.descriptor)
        psbt_input = with_what_proves(psbt_input, own.output, own.previous, key)
        try:
            input_weight(psbt_input, own.output)
        except InvalidPsbt:
            return None
        return Coin(outpoint, psbt_input, own.output)

    def _funded(self, payment: TxOut, fee_rate: FeeRate) -> Transaction:
        bare = _VERSION + _NO_INPUTS + _ONE_OUTPUT + payment.serialize() + _NO_LOCK_TIME
        options = {
            "add_inputs": True,
            "include_unsafe": False,
            "minconf": 1,
            "lockUnspents": False,
            "replaceable": True,
            "fee_rate": str(fee_rate.sat_per_vb),
        }
        try:
            funded = self._node.ask(
                "fundrawtransaction",
                _Funded,
                hexstring=bare.hex(),
                options=options,
                iswitness=False,
            )
        except RpcError as error:
            self._check_funds(payment, fee_rate)
            raise WalletError(
                "The node's wallet could not build the transaction: see its debug.log."
            ) from error
        return parsed(funded.hex)

    def _check_funds(self, payment: TxOut, fee_rate: FeeRate) -> None:
        """Raise `InsufficientFunds` if the free coins cannot pay the amount and the fee.

        The node reports this only as a text.
        """
        held = self._locks.held()
        free = [coin for coin in self.coins() if coin.outpoint not in held]
        weights = [input_weight(coin.psbt_input, coin.utxo) for coin in free]
        brought = sum(
            max(0, int(coin.utxo.value) - int(fee_rate.fee(weight)))
            for coin, weight in zip(free, weights, strict=True)
        )
        bare = Weight(_BARE_WEIGHT + output_weight(payment))
        if brought < payment.value + fee_rate.fee(bare):
            raise InsufficientFunds(
                f"The wallet has {Sats.sum(coin.utxo.value for coin in free):,} sats confirmed and"
                f" free, too few to pay {payment.value:,} and the fee; fund it, or wait for its"
                " other coins."
            )

    def _with_utxos(self, psbt: Psbt) -> Psbt:
        outpoints = psbt.unsigned_transaction.contested()
        own = own_outputs(self._node, outpoints)
        for index, outpoint in enumerate(outpoints):
            coin = self._coin(outpoint, own[outpoint], None) if outpoint in own else None
            if coin is None or own[outpoint].confirmations < 1:
                raise WalletError(
                    "The node chose a coin that is not confirmed, or of a kind that payjoins cannot"
                    " use: lock it with `bitcoin-cli lockunspent`, or wait."
                )
            known = coin.psbt_input
            if coin.utxo.script_pubkey.type is ScriptType.P2WPKH:
                known = PsbtInput().with_witness_utxo(coin.utxo)  # receivers get it from the chain
            psbt = psbt.with_input(index, known)
        return psbt

    def _replacement_fee(self, outpoint: OutPoint, weight: Weight) -> Sats:
        """Return the least fee to replace the coin's spender and descendants (BIP 125, 3, 4)."""
        [spender] = self._node.ask(
            "gettxspendingprevout", tuple[_Spender], outputs=[named(outpoint)]
        )
        if spender.spendingtxid is None:
            return Sats(0)
        try:
            entry = self._node.ask("getmempoolentry", _Entry, txid=spender.spendingtxid)
        except RpcError:
            return Sats(0)  # it left the mempool, or is in a block
        mempool = self._node.ask("getmempoolinfo", _Mempool)
        step = FeeRate.from_sat_per_vb(per_kvb(mempool.incrementalrelayfee))
        return max(FeeRate.RELAY_MIN, step).fee(weight) + _sats(entry.fees.descendant)


def _key_of(descriptor: str) -> bytes | None:
    """Return the public key of a P2WPKH coin's descriptor, or None (BIP 380, BIP 382)."""
    found = _OF_ONE_KEY.match(descriptor)
    return None if found is None else bytes.fromhex(found[1])


def _sats(amount: Decimal) -> Sats:
    try:
        return Sats.from_btc(amount)
    except ParseError:
        raise FAULTS.not_understood() from None


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise FAULTS.not_understood() from None
