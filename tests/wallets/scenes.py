"""Servers as they answer: what is played here is typed from their sources, as each says.

Nothing here was recorded from a live server: tests/wallets/core holds what was (a node of Bitcoin
Core), and tests/live_electrum and tests/live_core ask real ones.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.scripted_electrum import ScriptedElectrum
from tests.support.scripted_http import Answer, ScriptedServer
from tests.wallets.core_says import Refusal, node

from dovetail.bitcoin import Network, OutPoint, Sats, Script, Transaction, TxIn, TxOut
from dovetail.bitcoin.hashes import sha256
from dovetail.testing.chain_contract import ALREADY, Stage
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.esplora.chain import EsploraChain

HEIGHT, COIN_AT, PAID_AT = 110, 101, 108
OWN = Script(b"\x00\x14" + b"\x01" * 20)
THEIRS = Script(b"\x00\x14" + b"\x02" * 20)
FUNDING = Transaction(
    version=2,
    inputs=(TxIn(OutPoint.parse(f"{'77' * 32}:0"), witness=(b"\x01",)),),
    outputs=(TxOut(Sats(100_000), OWN),),
    lock_time=0,
)
COIN = OutPoint(FUNDING.txid, 0)
PAYMENT = Transaction(
    version=2,
    inputs=(TxIn(COIN, witness=(b"\x02",)),),
    outputs=(TxOut(Sats(90_000), THEIRS),),
    lock_time=0,
)
# The header of regtest's first block (Bitcoin Core, kernel/chainparams.cpp).
GENESIS = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"
    "67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000"
)
LOADING = "Loading block index…"


def node_code(words: str) -> int:
    """The code by which Bitcoin Core answers `sendrawtransaction` (rpc/protocol.h)."""
    if words in ALREADY[:2]:
        return -27
    if words == LOADING:
        return -28
    return -25 if words == "bad-txns-inputs-missingorspent" else -26


@dataclass
class Told:
    """What the scenes share: coin, payment, and how far that is."""

    stage: Stage = Stage.UNSENT
    words: str | None = None

    coin = (COIN, FUNDING.outputs[0])
    payment = PAYMENT

    def show(self, stage: Stage) -> None:
        self.stage = stage

    def answer_broadcasts(self, words: str) -> None:
        self.words = words

    def be_busy(self) -> None:
        self.words = LOADING

    def block_of(self, transaction: Transaction) -> int | None:
        """The height of its block; 0 in the mempool, None where it is nowhere."""
        if transaction is FUNDING:
            return COIN_AT
        return {Stage.UNSENT: None, Stage.WAITING: 0, Stage.CONFIRMED: PAID_AT}[self.stage]

    def known(self) -> dict[str, tuple[Transaction, int]]:
        places = ((each, self.block_of(each)) for each in (FUNDING, PAYMENT))
        return {str(each.txid): (each, place) for each, place in places if place is not None}


# Esplora


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

    def mumble(self) -> None:
        self.words = "\0"

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


# Electrum


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
    "Fulcrum 1.11",
    fulcrum,
    ("1.4", "1.5"),
    {"code": 2, "message": f"daemon error: {_MISSING}"},
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
        self.away = False

    def mumble(self) -> None:
        self.words = "\0"

    def go_away(self) -> None:
        self.away = True

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


# Bitcoin Core


@dataclass(frozen=True)
class Version:
    """What differs between versions of Bitcoin Core in what we ask (its release notes)."""

    number: int
    min_relay: float
    already: str


CORE_25 = Version(250_000, 0.00001, "Transaction already in block chain")
CORE_28 = Version(280_000, 0.00001, "Transaction outputs already in utxo set")
CORE_30 = Version(300_000, 0.000001, "Transaction outputs already in utxo set")


@dataclass
class CoreScene(Told):
    """A node of this version; its wallet has both transactions."""

    version: Version = CORE_30
    away: bool = False

    def __post_init__(self) -> None:
        self.node = node(
            getnetworkinfo={"version": self.version.number},
            getblockcount=self._unless_away(lambda: HEIGHT),
            gettxout=self._unless_away(self._coin),
            gettxspendingprevout=self._unless_away(self._spender),
            gettransaction=self._unless_away(self._transaction),
            getrawtransaction=self._unless_away(self._raw),
            getmempoolentry=self._unless_away(self._entry),
            getblockheader=self._unless_away(self._header),
            getblockchaininfo={
                "chain": "regtest",
                "initialblockdownload": False,
                "blocks": HEIGHT,
            },
            getblockhash=self._unless_away(lambda height: f"{height:064x}"),
            getblock=self._unless_away(self._block),
            listsinceblock=self._unless_away(self._since),
            listreceivedbyaddress=self._unless_away(self._received),
            getaddressinfo={"ismine": True, "solvable": True},
            sendrawtransaction=self._unless_away(self._sent),
            testmempoolaccept=self._unless_away(lambda **_: [{"allowed": True}]),
            estimatesmartfee=self._unless_away(lambda **_: {"feerate": 0.00003}),
            getmempoolinfo={
                "mempoolminfee": self.version.min_relay,
                "minrelaytxfee": self.version.min_relay,
            },
        )
        self.chain = CoreChain(self.node)

    def mumble(self) -> None:
        self.words = "\0"

    def go_away(self) -> None:
        self.away = True

    def _unless_away(self, usual: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **named: Refusal(-9, "not connected") if self.away else usual(**named)

    def _coin(self, txid: str, n: int, include_mempool: bool) -> Any:  # noqa: FBT001
        spent = include_mempool if self.stage is Stage.WAITING else True
        transaction, place = self.known().get(txid, (PAYMENT, 0))
        if txid not in self.known() or n >= len(transaction.outputs):
            return None
        if transaction is FUNDING and self.stage is not Stage.UNSENT and spent:
            return None
        if not place and not include_mempool:
            return None
        output = transaction.outputs[n]
        return {
            "bestblock": f"{HEIGHT:064x}",
            "confirmations": HEIGHT - place + 1 if place else 0,
            "value": int(output.value) / 100_000_000,
            "scriptPubKey": {"hex": output.script_pubkey.hex()},
        }

    def _spender(self, outputs: list[dict[str, Any]]) -> Any:
        waits = self.stage is Stage.WAITING
        return [
            {"spendingtxid": str(PAYMENT.txid)} if waits and each["txid"] == str(COIN.txid) else {}
            for each in outputs
        ]

    def _transaction(self, txid: str) -> Any:
        if txid not in self.known():
            return Refusal(-5, "Invalid or non-wallet transaction id")
        transaction, place = self.known()[txid]
        return {
            "hex": transaction.serialize().hex(),
            "confirmations": HEIGHT - place + 1 if place else 0,
        } | ({"blockhash": f"{place:064x}", "blockheight": place} if place else {})

    def _raw(self, txid: str) -> Any:
        if self.stage is Stage.WAITING and txid == str(PAYMENT.txid):
            return PAYMENT.serialize().hex()
        return Refusal(-5, "No such mempool transaction. Use -txindex")

    def _entry(self, txid: str) -> Any:
        waits = self.stage is Stage.WAITING and txid == str(PAYMENT.txid)
        return {} if waits else Refusal(-5, "Transaction not in mempool")

    def _header(self, blockhash: str) -> Any:
        height = int(blockhash, 16)
        return {
            "hash": blockhash,
            "height": height,
            "confirmations": HEIGHT - height + 1,
            "previousblockhash": f"{height - 1:064x}",
        }

    def _block(self, blockhash: str, **_: Any) -> Any:
        previous = bytes.fromhex(self._header(blockhash)["previousblockhash"])
        return (bytes(4) + previous[::-1] + bytes(44)).hex()

    def _since(self, blockhash: str, **_: Any) -> Any:
        return {
            "transactions": [
                {"txid": txid, "confirmations": HEIGHT - place + 1, "blockhash": f"{place:064x}"}
                for txid, (_, place) in self.known().items()
                if place > int(blockhash, 16)
            ]
        }

    def _received(self, **_: Any) -> Any:
        return [{"txids": [str(PAYMENT.txid)]}] if self.stage is not Stage.UNSENT else []

    def _sent(self, **_: Any) -> Any:
        if self.words is None:
            return str(PAYMENT.txid)
        words = self.version.already if self.words in ALREADY[:2] else self.words
        return Refusal(node_code(words), words)
