"""Locks in the node on coins of sessions, so that nothing else spends them.

A file records our locks before they are set. After a crash the next run removes them, and coins
that the user locked stay locked.
"""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from dovetail.bitcoin import OutPoint
from dovetail.durable_files import replace_durably
from dovetail.errors import WalletError
from dovetail.wallets.core.node import CoreNode, named, txid_of
from dovetail.wallets.core.rpc import RpcError, call
from dovetail.wallets.wallet_file import exclusive

_INVALID_PARAMETER = -8
"""The code for a coin that is spent or unknown, or is already locked or unlocked."""


class _Locked(msgspec.Struct, frozen=True):
    txid: str
    vout: int


class CoinLocks:
    """Dovetail's locks in one node's wallet. Threads and processes may share the file."""

    def __init__(self, node: CoreNode, record: Path) -> None:
        """`record` is the file that lists our locks."""
        self._node = node
        self._record = record

    def held(self) -> frozenset[OutPoint]:
        """Return the coins that we have locked."""
        ours = self._read()
        return ours & self.locked() if ours else ours

    def locked(self) -> frozenset[OutPoint]:
        """Return all coins that are locked in the node, also by the user."""
        listed = self._node.ask("listlockunspent", list[_Locked])
        return frozenset(OutPoint(txid_of(each.txid), each.vout) for each in listed)

    def settle(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Lock these coins and unlock our other locks; a repeated call does nothing."""
        if not (reserved() or self._record.exists()):
            return
        with self._alone():
            wanted = frozenset(reserved())
            locked, ours = self.locked(), self._read()
            fresh = wanted - locked
            self._write(ours | fresh)
            self._change(fresh, unlock=False)
            self._change((ours - wanted) & locked, unlock=True)
            self._write((ours | fresh) & wanted)

    @contextmanager
    def holding(
        self, coins: Collection[OutPoint], reserved: Callable[[], Collection[OutPoint]]
    ) -> Generator[None]:
        """Lock these coins during the block, unless they are locked already.

        Coins that a session of any process holds at the end stay locked: `reserved` returns them.
        """
        with self._alone():
            fresh = frozenset(coins) - self.locked()
            self._write(self._read() | fresh)
            self._change(fresh, unlock=False)
        try:
            yield
        finally:
            with self._alone():
                free = fresh - frozenset(reserved())
                self._change(free, unlock=True)
                self._write(self._read() - free)

    @contextmanager
    def _alone(self) -> Generator[None]:
        with suppress(OSError):  # the lock file reports it
            self._record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self._record.parent):
            yield

    def _change(self, coins: Collection[OutPoint], *, unlock: bool) -> None:
        """Change locks one by one, and ignore coins that are spent or not the wallet's."""
        keeps = None if unlock else True  # the lock survives a restart of the node
        calls = [
            call("lockunspent", unlock=unlock, transactions=[named(coin)], persistent=keeps)
            for coin in sorted(coins, key=str)
        ]
        for answer in self._node.batch(calls, bool):
            if isinstance(answer, RpcError) and answer.code != _INVALID_PARAMETER:
                raise answer

    def _read(self) -> frozenset[OutPoint]:
        try:
            names = msgspec.json.decode(self._record.read_bytes(), type=list[str])
            return frozenset(map(OutPoint.parse, names))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise WalletError(
                f"The file {self._record.name} in the data directory, which lists the coins "
                "locked in the node for sessions, cannot be read: move it away, and unlock "
                "coins with `bitcoin-cli lockunspent` if necessary."
            ) from error

    def _write(self, ours: frozenset[OutPoint]) -> None:
        if ours == self._read():
            return
        try:
            replace_durably(self._record, msgspec.json.encode(sorted(map(str, ours))))
        except OSError as error:
            raise WalletError(
                "The list of coins locked in the node for sessions cannot be written: check the "
                "data directory and its free space."
            ) from error
