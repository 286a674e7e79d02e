"""Electrum servers as they answer: what is played is typed from their sources, as each says."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.scripted_electrum import ScriptedElectrum
from tests.wallets.scenes import HEIGHT, OWN, PAYMENT, Told

from dovetail.bitcoin import Network, Transaction
from dovetail.bitcoin.hashes import sha256
from dovetail.testing.chain_contract import Stage
from dovetail.wallets.electrum.chain import ElectrumChain

# The header of regtest's first block (Bitcoin Core, kernel/chainparams.cpp).
GENESIS = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"
    "67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000"
)


def electrumx(words: str) -> dict[str, Any]:
    """ElectrumX, electrumx/server/session.py: transaction_broadcast, BAD_REQUEST."""
    raw = PAYMENT.serialize().hex()
    told = f"the transaction was rejected by network rules.\n\n{words}\n[{raw}]"
    return {"code": 1, "message": told}


def fulcrum(words: str) -> dict[str, Any]:
    """Fulcrum, src/Servers.cpp: the same sentence, without the transaction."""
    told = f"the transaction was rejected by network rules.\n\n{words}\n"
    return {"code": 1, "message": told}


def romanz(words: str) -> dict[str, Any]:
    """romanz/electrs, src/electrum.rs, RpcError::to_value: the node's words alone."""
    return {"code": 2, "message": words}


@dataclass(frozen=True)
class Make:
    """What differs between makes of Electrum servers in what we ask."""

    name: str
    refuses: Callable[[str], dict[str, Any]]
    versions: tuple[str, ...]
    """Those that `server.version` may offer alone."""
    missing: dict[str, Any]
    """What is said of a transaction that is not there."""


_MISSING = "No such mempool or blockchain transaction. Use gettransaction for wallet transactions."
ELECTRUMX = Make(
    "ElectrumX 1.16",
    electrumx,
    ("1.4", "1.4.1", "1.4.2"),
    {"code": 2, "message": f"daemon error: DaemonError({{'code': -5, 'message': '{_MISSING}'}})"},
)
FULCRUM = Make(
    "Fulcrum 1.11", fulcrum, ("1.4", "1.5"), {"code": 2, "message": f"daemon error: {_MISSING}"}
)
ROMANZ = Make("electrs/0.10", romanz, ("1.4",), {"code": 2, "message": _MISSING})
LATEST = Make("ElectrumX 1.18, set to protocol 1.6", electrumx, (), ELECTRUMX.missing)
TESTING = Make("ElectrumX 2.0", electrumx, ("1.4", "1.6", "1.7"), ELECTRUMX.missing)


@dataclass
class ElectrumScene(Told):
    """A server of this make, on a connection in the clear."""

    make: Make = ROMANZ

    def __post_init__(self) -> None:
        self.server = ScriptedElectrum(self)  # type: ignore[arg-type]
        self.server.answer = self._answer  # type: ignore[method-assign]
        self.chain = ElectrumChain(self.server.url, Network.REGTEST, timeout=5)

    def _answer(self, session: object, line: bytes) -> bytes:
        del session
        asked = json.loads(line)
        if self.away:
            return b""
        told = self._told(asked["method"], *asked["params"])
        head = {"jsonrpc": "2.0", "id": asked["id"]}
        kind = "error" if isinstance(told, dict) and "code" in told else "result"
        return json.dumps(head | {kind: told}).encode() + b"\n"

    def _told(self, method: str, *given: Any) -> Any:
        match method, given:
            case "server.version", (_, offer):
                fits = offer in self.make.versions if isinstance(offer, str) else True
                refusal = {"code": 1, "message": f"unsupported protocol version: {offer}"}
                return [self.make.name, "1.4"] if fits else refusal
            case "blockchain.block.header", (0,):
                return GENESIS
            case "blockchain.headers.subscribe", ():
                return {"height": HEIGHT, "hex": GENESIS}
            case "blockchain.scripthash.get_history", (name,):
                return [
                    {"tx_hash": txid, "height": place}
                    for txid, (each, place) in self.known().items()
                    if name in _touched(each)
                ]
            case "blockchain.transaction.get", (txid,):
                known = self.known().get(txid)
                return self.make.missing if known is None else known[0].serialize().hex()
            case "blockchain.transaction.broadcast", _:
                return self._broadcast()
            case "blockchain.estimatefee", _:
                return 0.00003
            case "blockchain.transaction.testmempoolaccept", ([raw],) if self.make is TESTING:
                return [_tested(Transaction.parse(bytes.fromhex(raw)), self.stage)]
        return self._relays(method)

    def _relays(self, method: str) -> Any:
        """The least fee, by the question that the version of the protocol has for it."""
        if method == ("mempool.get_info" if self.make is LATEST else "blockchain.relayfee"):
            least = 0.000001
            return (
                {"mempoolminfee": least, "minrelaytxfee": least} if self.make is LATEST else least
            )
        return {"code": -32601, "message": f"unknown method {method}"}

    def _broadcast(self) -> Any:
        match self.words:
            case None:
                return str(PAYMENT.txid)
            case "\0":
                return {"code": 1, "message": "Broadcast is switched off here."}
            case words:
                return self.make.refuses(words)


def _tested(transaction: Transaction, stage: Stage) -> dict[str, Any]:
    """A node's `testmempoolaccept` as ElectrumX passes it on; only the payment is good."""
    told: dict[str, Any] = {"txid": str(transaction.txid), "wtxid": "00" * 32, "allowed": False}
    if transaction.inputs != PAYMENT.inputs:
        return told | {"reason": "mandatory-script-verify-flag-failed (Invalid signature)"}
    if stage is Stage.WAITING:
        return told | {"reason": "txn-already-in-mempool"}
    if stage is Stage.CONFIRMED:
        return told | {"reason": "txn-already-known"}
    return told | {"allowed": True}


def _touched(transaction: Transaction) -> set[str]:
    scripts = [output.script_pubkey for output in transaction.outputs]
    if transaction is PAYMENT:
        scripts.append(OWN)
    return {sha256(script)[::-1].hex() for script in scripts}
