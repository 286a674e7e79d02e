"""A wallet of a node for a test: of a real one, or of one whose answers were recorded.

A recording holds every exchange of our client with the node and, between them, what the test itself
did to the node. Played back, each request must be the recorded one; so a test of which the node's
part was recorded fails where our part has changed. `DOVETAIL_RECORD=1` writes the recordings anew,
from a regtest node whose keys are worth nothing.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpcore2
from tests.live_core.bitcoind import Bitcoind, RpcFailed
from tests.wallets.fake_connections import content

from dovetail.bitcoin import Address, Network, OutPoint, Script, Transaction, Txid
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import UserPassword
from dovetail.wallets.core.wallet import CoreWallet


class Tape:
    """What happened, in order: exchanges as `[request, status, answer]`, deeds as `[result]`."""

    def __init__(self, entries: list[list[Any]] | None = None) -> None:
        self.entries = [] if entries is None else entries
        self.plays = entries is not None
        self._next = 0

    def play(self) -> list[Any]:
        if self._next >= len(self.entries):
            raise AssertionError("More is asked of the node than was recorded.")
        self._next += 1
        return self.entries[self._next - 1]

    @property
    def is_over(self) -> bool:
        return self._next == len(self.entries)

    @classmethod
    def read(cls, path: Path) -> "Tape":
        return cls(json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        lines = ",\n".join(json.dumps(each) for each in self.entries)
        path.write_text(f"[\n{lines}\n]\n")


class TapedCarrier:
    """Carries requests to the node and records them, or answers them from the recording."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._web = None if tape.plays else httpcore2.ConnectionPool()

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        asked, ids = _without_ids(json.loads(content(request)))
        if self._web is None:
            entry = self.tape.play()
            assert entry[0] == asked, "Another request than the recorded one."
            body = json.dumps(_with_ids(entry[2], ids)).encode() if entry[2] is not None else b""
            return httpcore2.Response(entry[1], content=body)
        response = self._web.handle_request(request)
        body = response.read()
        response.close()
        told = json.loads(body) if body else None
        self.tape.entries.append([asked, response.status, _with_ids(told, ids, bare=True)])
        return httpcore2.Response(response.status, content=body)

    def close(self) -> None:
        if self._web is not None:
            self._web.close()


def _without_ids(asked: Any) -> tuple[Any, list[Any]]:
    if isinstance(asked, list):
        return [_without_ids(each)[0] for each in asked], [each["id"] for each in asked]
    return {key: value for key, value in asked.items() if key != "id"}, [asked["id"]]


def _with_ids(told: Any, ids: list[Any], *, bare: bool = False) -> Any:
    if isinstance(told, list):
        return [_with_ids(each, [one], bare=bare) for each, one in zip(told, ids, strict=True)]
    if isinstance(told, dict):
        return told | {"id": 0 if bare else ids[0]}
    return told


class Stage:
    """One wallet of one node, what Dovetail makes of it, and what a test can do to it."""

    def __init__(self, tape: Tape, folder: Path, name: str, bitcoind: Bitcoind | None) -> None:
        self.tape, self._bitcoind, self._name = tape, bitcoind, name
        self.folder = folder
        self._made: list[CoreNode] = []
        if bitcoind is not None:
            bitcoind.make_wallet(name)
        self.node = self.another_node()
        self.wallet = CoreWallet(self.node, folder)
        self.chain = CoreChain(self.node, memory=folder / "searches.json")

    def close(self) -> None:
        for node in self._made:
            node.close()

    def another_node(self) -> CoreNode:
        """The same node and wallet, as another process would see it."""
        live = self._bitcoind
        login = UserPassword("user", "password")
        url = "http://127.0.0.1:1"
        if live is not None:
            user, _, password = live.cookie.read_text().partition(":")
            login, url = UserPassword(user, password), live.url
        node = CoreNode(
            url, login, wallet=self._name, network=Network.REGTEST, carrier=TapedCarrier(self.tape)
        )
        self._made.append(node)
        return node

    def another_wallet(self) -> CoreWallet:
        return CoreWallet(self.another_node(), self.folder)

    def another_chain(self) -> CoreChain:
        return CoreChain(self.another_node(), memory=self.folder / "searches.json")

    def do(self, deed: Callable[[Bitcoind], Any]) -> Any:
        """Do something to the node, outside of what is tested; its result is recorded."""
        if self._bitcoind is None:
            [result] = self.tape.play()
            return result
        result = json.loads(json.dumps(deed(self._bitcoind), default=_plain))
        self.tape.entries.append([result])
        return result

    def rpc(self, method: str, *words: Any, **named: Any) -> Any:
        """What this wallet of the node answers."""
        return self.do(lambda node: node.rpc(method, *words, wallet=self._name, **named))

    def mine(self, blocks: int = 1) -> None:
        self.do(lambda node: node.mine(blocks))

    def address(self, kind: str = "bech32") -> str:
        return str(self.rpc("getnewaddress", "", kind))

    def fund(self, sats: int, kind: str = "bech32", *, blocks: int = 1) -> OutPoint:
        """A coin of the wallet, of this kind of address."""
        address = self.address(kind)
        found = self.do(lambda node: str(node.fund(address, sats, blocks=blocks)))
        return OutPoint.parse(found)

    def stranger(self) -> Script:
        """A script of somebody else."""
        return Address.parse(
            self.do(lambda node: node.rpc("getnewaddress", wallet="miner"))
        ).script_pubkey

    def locked(self) -> set[OutPoint]:
        told = self.do(lambda node: sorted(map(str, node.locked(self._name))))
        return {OutPoint.parse(each) for each in told}

    def transaction(self, txid: Txid) -> Transaction:
        told = self.rpc("gettransaction", str(txid))
        return Transaction.parse(bytes.fromhex(told["hex"]))


def _plain(value: object) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


__all__ = ["RpcFailed", "Stage", "Tape"]
