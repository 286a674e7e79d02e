"""A Bitcoin Core node and one of its wallets: whether they will do, and what both ports ask."""

import threading
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec

from dovetail.bitcoin import Address, Network, OutPoint, Script, Transaction, Txid
from dovetail.errors import ChainError, ConfigurationError, InvalidAddress, ParseError
from dovetail.wallets.core.rpc import FAULTS, Call, CoreRpc, Login, RpcError, call
from dovetail.wallets.http import Carrier

T = TypeVar("T")

OLDEST_VERSION = 250_000
"""Bitcoin Core 25.0, the first that funds a transaction from confirmed coins alone."""

NOT_FOUND = -5
"""The code for a transaction, block or address that is not there (rpc/protocol.h)."""

_CHAINS = {
    Network.MAINNET: ("main",),
    Network.TESTNET: ("testnet4", "test"),
    Network.SIGNET: ("signet",),
    Network.REGTEST: ("regtest",),
}


class _NetworkInfo(msgspec.Struct, frozen=True):
    version: int


class _ChainInfo(msgspec.Struct, frozen=True):
    chain: str
    initialblockdownload: bool


class _WalletInfo(msgspec.Struct, frozen=True):
    private_keys_enabled: bool
    descriptors: bool = True
    scanning: Literal[False] | dict[str, Any] = False


class _AddressInfo(msgspec.Struct, frozen=True):
    ismine: bool
    solvable: bool = False


class WalletTransaction(msgspec.Struct, frozen=True):
    """A transaction that a wallet knows."""

    hex: str
    confirmations: int
    blockhash: str | None = None
    blockheight: int | None = None

    def transaction(self) -> Transaction:
        """The transaction itself. Raises `ChainError`."""
        return parsed(self.hex)


class CoreNode:
    """One node, and a descriptor wallet with private keys that it has loaded.

    Threads may share it. The first answer that is wanted from it is preceded by a look at the node:
    `ConfigurationError` says what has to be changed, `ChainError` what to wait for.
    """

    def __init__(
        self,
        url: str,
        login: Login,
        *,
        wallet: str,
        network: Network,
        timeout: float = 30.0,
        carrier: Carrier | None = None,
    ) -> None:
        """`url` is the node's without a path, `wallet` the wallet's name, `timeout` in seconds.

        `carrier` is what carries the requests; by default one of its own.
        """
        self._rpc = CoreRpc(url, login, wallet=wallet, timeout=timeout, carrier=carrier)
        self._lock = threading.Lock()
        self._is_checked = False
        self.network = network

    def __repr__(self) -> str:
        return f"<CoreNode on {self.network}>"

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._rpc.close()

    def ask(self, method: str, kind: type[T], /, **arguments: Any) -> T:
        """Make one call; the arguments that are None are left out."""
        return self.make(call(method, **arguments), kind)

    def make(self, wanted: Call, kind: type[T]) -> T:
        """Make one call."""
        self._check_once()
        return self._rpc.make(wanted, kind)

    def batch(self, calls: Sequence[Call], kind: type[T]) -> list[T | RpcError]:
        """Make many calls of one kind in one request; what fails of them is returned."""
        self._check_once()
        return self._rpc.batch(calls, kind)

    def check(self) -> None:
        """Look whether node and wallet will do.

        Raises `ConfigurationError` for a wrong login, an old version, another network, and a wallet
        that is not loaded, has no descriptors or no private keys; `ChainError` for a node that
        does not run, is starting or syncing, and for a wallet that is rescanning.
        """
        network, chain, wallet = self._rpc.batch_raw(
            [call("getnetworkinfo"), call("getblockchaininfo"), call("getwalletinfo")]
        )
        if _read(network, _NetworkInfo).version < OLDEST_VERSION:
            raise ConfigurationError(
                "The node that `core_url` names is older than Bitcoin Core 25: update it."
            )
        known = _read(chain, _ChainInfo)
        if known.chain not in _CHAINS[self.network]:
            raise ConfigurationError(
                f"The node that `core_url` names is not on {self.network}: correct `network` or"
                " `core_url`."
            )
        _check_wallet(_read(wallet, _WalletInfo))
        if known.initialblockdownload:
            raise ChainError(
                "The node that `core_url` names is still syncing with the network: wait until it"
                " is done."
            )

    def _check_once(self) -> None:
        with self._lock:
            if not self._is_checked:
                self.check()
                self._is_checked = True

    def transactions(self, txids: Iterable[Txid]) -> dict[Txid, WalletTransaction]:
        """Those of the transactions that the wallet knows. Raises `ChainError` for others."""
        wanted = list(dict.fromkeys(txids))
        answers = self.batch(
            [call("gettransaction", txid=str(txid)) for txid in wanted], WalletTransaction
        )
        found: dict[Txid, WalletTransaction] = {}
        for txid, answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, RpcError):
                if answer.transaction().txid != txid:
                    raise FAULTS.not_understood()
                found[txid] = answer
            elif answer.code != NOT_FOUND:
                raise answer
        return found

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Those of `scripts` that the wallet can spend."""
        addresses: dict[Script, str] = {}
        for script in scripts:
            try:
                addresses[script] = str(Address.from_script(script, self.network))
            except InvalidAddress:
                continue  # the wallet knows its own by their addresses
        calls = [call("getaddressinfo", address=address) for address in addresses.values()]
        ours: set[Script] = set()
        for script, answer in zip(addresses, self.batch(calls, _AddressInfo), strict=True):
            if isinstance(answer, RpcError):
                if answer.code == NOT_FOUND:
                    continue  # a witness version that this node cannot name yet
                raise answer
            if answer.ismine and answer.solvable:
                ours.add(script)
        return frozenset(ours)


def named(outpoint: OutPoint) -> dict[str, Any]:
    """The outpoint as the node takes it."""
    return {"txid": str(outpoint.txid), "vout": outpoint.vout}


def parsed(text: str) -> Transaction:
    """A transaction that the node gave in hex. Raises `ChainError`."""
    try:
        return Transaction.parse(bytes.fromhex(text))
    except (ParseError, ValueError):
        raise FAULTS.not_understood() from None


def txid_of(text: str) -> Txid:
    """A txid that the node gave. Raises `ChainError`."""
    try:
        return Txid.from_hex(text)
    except ParseError:
        raise FAULTS.not_understood() from None


def per_kvb(amount: Decimal) -> Decimal:
    """sat/vB, of bitcoins for 1000 virtual bytes."""
    return amount * 100_000


def _check_wallet(wallet: _WalletInfo) -> None:
    if not wallet.descriptors:
        raise ConfigurationError(
            "The wallet that `core_wallet` names is of the old kind without descriptors: convert it"
            " with `bitcoin-cli migratewallet`, or name another one."
        )
    if not wallet.private_keys_enabled:
        raise ConfigurationError(
            "The wallet that `core_wallet` names has no private keys and cannot sign: name one"
            " that has."
        )
    if wallet.scanning:
        raise ChainError(
            "The wallet that `core_wallet` names is still scanning the chain for its coins: wait"
            " until it is done."
        )


def _read(answer: msgspec.Raw | RpcError, kind: type[T]) -> T:
    if isinstance(answer, RpcError):
        raise answer
    return FAULTS.decoded(answer, kind)
