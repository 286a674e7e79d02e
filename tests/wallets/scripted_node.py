"""A node that says what a test has it say, for what a real one cannot be brought to."""

import json
from pathlib import Path
from typing import Any

import httpcore2
from tests.wallets.fake_connections import content

from dovetail.bitcoin import Network, OutPoint, Sats, Script, Transaction, TxIn, TxOut
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import UserPassword
from dovetail.wallets.core.wallet import CoreWallet

SOUND: dict[str, Any] = {
    "getnetworkinfo": {"version": 250_000},
    "getblockchaininfo": {"chain": "regtest", "initialblockdownload": False, "blocks": 9},
    "getwalletinfo": {"private_keys_enabled": True, "descriptors": True, "scanning": False},
}


class Refusal(Exception):
    """The node refuses a call with this code and these words."""

    def __init__(self, code: int, words: str = "no") -> None:
        super().__init__(words)
        self.code = code


class SayingNode:
    """Each method is a value to answer with, a `Refusal`, or a function of the arguments."""

    def __init__(self, **says: Any) -> None:
        self.says = SOUND | says
        self.asked: list[str] = []

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        asked = json.loads(content(request))
        calls = [asked] if isinstance(asked, dict) else asked
        told = [{"id": each["id"]} | self._answer(each) for each in calls]
        body = json.dumps(told[0] if isinstance(asked, dict) else told).encode()
        return httpcore2.Response(200, content=body)

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked["method"])
        said = self.says[asked["method"]]
        try:
            result = said(**asked["params"]) if callable(said) else said
            if isinstance(result, Refusal):
                raise result
        except Refusal as refusal:
            return {"error": {"code": refusal.code, "message": str(refusal)}}
        return {"result": result}


def node(network: Network = Network.REGTEST, **says: Any) -> CoreNode:
    return CoreNode(
        "http://127.0.0.1:18443",
        UserPassword("user", "password"),
        wallet="w",
        network=network,
        carrier=SayingNode(**says),
    )


SCRIPT = Script(b"\x00\x14" + bytes(20))
PARENT = Transaction(
    version=2,
    inputs=(TxIn(OutPoint.parse(f"{'11' * 32}:1")),),
    outputs=(TxOut(Sats(100_000), SCRIPT),),
    lock_time=0,
)
COIN = OutPoint(PARENT.txid, 0)
CHILD = Transaction(
    version=2, inputs=(TxIn(COIN),), outputs=(TxOut(Sats(90_000), SCRIPT),), lock_time=0
)
UNKNOWN = Refusal(-5)
OUR_PARENT = {"hex": PARENT.serialize().hex(), "confirmations": 3, "blockhash": "22" * 32}
OURS = {"ismine": True, "solvable": True}


def wallet(folder: Path, **says: Any) -> CoreWallet:
    """A wallet of such a node, which knows the parent of its coin."""
    usual: dict[str, Any] = {
        "gettransaction": OUR_PARENT,
        "getaddressinfo": OURS,
        "listlockunspent": [],
        "listunspent": [],
        "getrawchangeaddress": "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk",
    }
    return CoreWallet(node(**usual | says), folder)
