"""Esplora servers as they answer: what is played here is typed from their sources, as each says."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.scripted_http import Answer, ScriptedServer
from tests.wallets.scenes import COIN, HEIGHT, OWN, PAYMENT, THEIRS, Told, node_code

from dovetail.bitcoin import Network, Script, Transaction
from dovetail.bitcoin.hashes import sha256
from dovetail.testing.chain_contract import Stage
from dovetail.wallets.esplora.chain import EsploraChain


def blockstream(words: str) -> Answer:
    """Blockstream/electrs, src/errors.rs and rest.rs: its errors are 400 with the node's code."""
    return Answer(400, f"sendrawtransaction RPC error {node_code(words)}: {words}".encode())


def mempool_electrs(words: str) -> Answer:
    """mempool/electrs, src/daemon.rs: the node's error object as it came."""
    error = json.dumps({"code": node_code(words), "message": words})
    return Answer(400, f"sendrawtransaction RPC error: {error}".encode())


def mempool_backend(words: str) -> Answer:
    """mempool/mempool, backend/src/api/bitcoin/bitcoin.routes.ts, over a node without electrs."""
    error = json.dumps({"code": node_code(words), "message": words}, separators=(",", ":"))
    return Answer(400, f"sendrawtransaction RPC error: {error}".encode())


def behind_a_gate(words: str) -> Answer:
    """Any of them behind a proxy that makes 403 of what it does not like."""
    return Answer(403, f"sendrawtransaction RPC error: {words}".encode())


class EsploraAnswers(dict[str, Answer]):
    """Paths as Esplora's API.md has them."""

    def __init__(self, scene: "EsploraScene") -> None:
        super().__init__()
        self.scene = scene

    def get(self, path: str, default: Any = None) -> Any:
        answer = self.scene.answer(path)
        return default if answer is None else answer


@dataclass
class EsploraScene(Told):
    """A server whose node's words come in this frame."""

    frame: Callable[[str], Answer] = blockstream
    server: ScriptedServer = field(default_factory=ScriptedServer)

    def __post_init__(self) -> None:
        self.server.answers = EsploraAnswers(self)
        self.chain = EsploraChain(self.server.url, Network.SIGNET, timeout=5, pace=0)

    def go_away(self) -> None:
        self.server.answers = dict.fromkeys((), Answer())
        self.server.otherwise = Answer(502, b"Bad Gateway")

    def answer(self, path: str) -> Answer | None:
        if path == "/blocks/tip/height":
            return Answer(body=str(HEIGHT).encode())
        if path == "/fee-estimates":
            return _json({"1": 0.321, "6": 0.2, "144": 0.1})
        if path == "/tx":
            return self._broadcast()
        for script in (OWN, THEIRS):
            if path.startswith(f"/scripthash/{sha256(script).hex()}/txs"):
                paid = [place for place in self.known().values() if _pays(place[0], script)]
                return _json([] if "/chain/" in path else [_esplora(*each) for each in paid])
        return self._transaction(path.split("/"))

    def _broadcast(self) -> Answer:
        if self.words == "\0":
            return Answer(403, b"<html><head><title>Forbidden</title></head></html>")
        if self.words is not None:
            return self.frame(self.words)
        return Answer(body=str(PAYMENT.txid).encode())

    def _transaction(self, parts: list[str]) -> Answer | None:
        found = self.known().get(parts[2]) if len(parts) > 2 else None
        match parts, found:
            case ["", "tx", _, "hex"], (transaction, _):
                return Answer(body=transaction.serialize().hex().encode())
            case ["", "tx", _], (transaction, place):
                return _json(_esplora(transaction, place))
            case ["", "tx", txid, "outspend", vout], _:
                spent = (txid, vout) == (str(COIN.txid), "0") and self.stage is not Stage.UNSENT
                place = self.block_of(PAYMENT) or 0
                return _json(
                    {"spent": True, "txid": str(PAYMENT.txid), "vin": 0, "status": _status(place)}
                    if spent
                    else {"spent": False}
                )
        return None


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode())


def _pays(transaction: Transaction, script: Script) -> bool:
    return any(output.script_pubkey == script for output in transaction.outputs)


def _status(place: int) -> dict[str, Any]:
    if not place:
        return {"confirmed": False}
    return {
        "confirmed": True,
        "block_height": place,
        "block_hash": "00" * 32,
        "block_time": 1_700_000_000,
    }


def _esplora(transaction: Transaction, place: int) -> dict[str, Any]:
    return {
        "txid": str(transaction.txid),
        "version": transaction.version,
        "locktime": transaction.lock_time,
        "size": len(transaction.serialize()),
        "weight": int(transaction.weight),
        "fee": 10_000,
        "vout": [
            {"value": int(each.value), "scriptpubkey": each.script_pubkey.hex()}
            for each in transaction.outputs
        ],
        "status": _status(place),
    }
