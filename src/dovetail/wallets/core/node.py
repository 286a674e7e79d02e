"""A Bitcoin Core node with one of its wallets: checks them, and makes their common calls."""

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
"""Bitcoin Core 25.0, the first version that can fund a transaction from confirmed coins only."""

NOT_FOUND = -5
"""The code for an unknown transaction, block or address (rpc/protocol.h)."""

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
    """A transaction of the node's wallet."""

    hex: str
    confirmations: int
    blockhash: str | None = None
    blockheight: int | None = None

    def transaction(self) -> Transaction:
        """Parse the transaction. Raises `ChainError`."""
        return parsed(self.hex)


class CoreNode:
    """One node with a loaded descriptor wallet that has private keys.

    Threads may share it. The first request checks the node: `ConfigurationError` says what to
    change, `ChainError` what to wait for.
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
        """`url` has no path, `wallet` is the wallet's name, `timeout` is in seconds.

        `carrier` sends the requests; by default the node has its own.
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
        """Make many calls in one request; failures are returned, not raised."""
        self._check_once()
        return self._rpc.batch(calls, kind)

    def check(self) -> None:
        """Check that node and wallet can be used.

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
        """Return those of the transactions that the wallet knows."""
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
                continue  # the wallet's scripts all have addresses
        calls = [call("getaddressinfo", address=address) for address in addresses.values()]
        ours: set[Script] = set()
        for script, answer in zip(addresses, self.batch(calls, _AddressInfo), strict=True):
            if isinstance(answer, RpcError):
                if answer.code == NOT_FOUND:
                    continue  # a witness version that this node does not know
                raise answer
            if answer.ismine and answer.solvable:
                ours.add(script)
        return frozenset(ours)


def named(outpoint: OutPoint) -> dict[str, Any]:
    """Return the outpoint in the node's format."""
    return {"txid": str(outpoint.txid), "vout": outpoint.vout}


def parsed(text: str) -> Transaction:
    """Parse a transaction that the node sent in hex. Raises `ChainError`."""
    try:
        return Transaction.parse(bytes.fromhex(text))
    except (ParseError, ValueError):
        raise FAULTS.not_understood() from None


def txid_of(text: str) -> Txid:
    """Parse a txid that the node sent. Raises `ChainError`."""
    try:
        return Txid.from_hex(text)
    except ParseError:
        raise FAULTS.not_understood() from None


def per_kvb(amount: Decimal) -> Decimal:
    """Convert bitcoins for 1000 virtual bytes into sat/vB."""
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
