"""Coins that sessions hold, locked in the node, so that nothing else there spends them.

Which locks are ours is written down before they are made: what a crash leaves behind is undone by
the next look, and what the user locked by hand stays locked.
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
"""The code for a coin that is spent, unknown, or locked or not locked already."""


class _Locked(msgspec.Struct, frozen=True):
    txid: str
    vout: int


class CoinLocks:
    """The locks of one node's wallet that are ours. Threads and processes may share the file."""

    def __init__(self, node: CoreNode, record: Path) -> None:
        """`record` is the file that says which locks are ours."""
        self._node = node
        self._record = record

    def held(self) -> frozenset[OutPoint]:
        """The coins that we locked."""
        ours = self._read()
        return ours & self.locked() if ours else ours

    def locked(self) -> frozenset[OutPoint]:
        """Every coin that is locked in the node, by whomever."""
        listed = self._node.ask("listlockunspent", list[_Locked])
        return frozenset(OutPoint(txid_of(each.txid), each.vout) for each in listed)

    def settle(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Lock these coins and unlock all others that are locked by us; again does nothing."""
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
        """Lock these coins for a while, where they are not locked already.

        Those that a session holds by the end, of whatever process, stay locked: `reserved` tells.
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
        with suppress(OSError):  # of which the lock file will tell
            self._record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self._record.parent):
            yield

    def _change(self, coins: Collection[OutPoint], *, unlock: bool) -> None:
        """One by one: what is spent or not the wallet's cannot be locked, and need not be."""
        keeps = None if unlock else True  # a lock outlives the node's restart, as sessions do
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
                f"The file {self._record.name} in the data directory cannot be read, which says"
                " which coins are locked in the node for sessions: move it away, and unlock coins"
                " with `bitcoin-cli lockunspent` if need be."
            ) from error

    def _write(self, ours: frozenset[OutPoint]) -> None:
        if ours == self._read():
            return
        try:
            replace_durably(self._record, msgspec.json.encode(sorted(map(str, ours))))
        except OSError as error:
            raise WalletError(
                "What is locked in the node for sessions cannot be written down: check the data"
                " directory and its free space."
            ) from error
