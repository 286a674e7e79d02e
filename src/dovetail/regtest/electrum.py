"""The answers of an Electrum server (Electrum protocol 1.4), for a regtest node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid
from dovetail.errors import DovetailError, UsageError
from dovetail.regtest.esplora_json import Json, View
from dovetail.regtest.node import RegtestNode
from dovetail.regtest.policy import PolicyRejection

_Answer: TypeAlias = "Callable[..., Json]"

PROTOCOL = "1.4"

_SOFTWARE = "dovetail-regtest"
_MOST_HEADERS = 2016
_BAD_REQUEST, _DAEMON_ERROR = 1, 2
_UNKNOWN_METHOD, _WRONG_PARAMETERS, _NOT_JSON = -32601, -32602, -32700
_DEPTH_OF_WAITING, _ON_WAITING = 0, -1


class Refusal(UsageError):
    """An answer that is an error; `code` as ElectrumX uses it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Request(msgspec.Struct, frozen=True):
    method: str
    id: int | str | None = None
    params: list[Any] = []


@dataclass(slots=True)
class ElectrumSession:
    """One client's conversation with the node: lines in, lines out, and news in between."""

    node: RegtestNode
    _tip: str | None = None
    _statuses: dict[str, str | None] = field(default_factory=dict[str, "str | None"])

    def answer(self, line: bytes) -> bytes:
        """The line that answers a line."""
        try:
            request = msgspec.json.decode(line, type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _line({"id": None, "error": {"code": _NOT_JSON, "message": "invalid JSON"}})
        head: dict[str, Json] = {"id": request.id}
        try:
            return _line({**head, "result": self._result(request)})
        except DovetailError as error:
            code = error.code if isinstance(error, Refusal) else _WRONG_PARAMETERS
            return _line({**head, "error": {"code": code, "message": str(error)}})

    def news(self) -> bytes:
        """The changes of what the client subscribed to, as lines."""
        lines: list[bytes] = []
        with self.node.lock:
            view = _view(self.node)
            if self._tip is not None and self._tip != str(view.chain.tip):
                lines.append(_news("blockchain.headers.subscribe", self._headers_subscribe(view)))
            for name, known in self._statuses.items():
                status = _status(view, name)
                if status != known:
                    self._statuses[name] = status
                    lines.append(_news("blockchain.scripthash.subscribe", name, status))
        return b"".join(lines)

    def _result(self, request: _Request) -> Json:
        own: dict[str, _Answer] = {
            "blockchain.headers.subscribe": self._headers_subscribe,
            "blockchain.scripthash.subscribe": self._subscribe,
            "blockchain.scripthash.unsubscribe": self._unsubscribe,
            "blockchain.transaction.broadcast": self._broadcast,
        }
        answer = own.get(request.method) or _ANSWERS.get(request.method)
        if answer is None:
            raise Refusal(_UNKNOWN_METHOD, f"unknown method: {request.method[:60]!r}")
        with self.node.lock:
            try:
                return answer(_view(self.node), *request.params)
            except TypeError as error:
                raise Refusal(_WRONG_PARAMETERS, "wrong parameters") from error

    def _headers_subscribe(self, view: View) -> Json:
        self._tip = str(view.chain.tip)
        return {"height": view.chain.height, "hex": _header(view, view.chain.height)}

    def _subscribe(self, view: View, scripthash: str) -> Json:
        self._statuses[scripthash] = _status(view, scripthash)
        return self._statuses[scripthash]

    def _unsubscribe(self, _: View, scripthash: str) -> Json:
        return self._statuses.pop(scripthash, self) is not self

    def _broadcast(self, _: View, raw_tx: str) -> Json:
        try:
            transaction = Transaction.parse(bytes.fromhex(raw_tx))
        except ValueError:
            verdict: object = "TX decode failed."
        else:
            verdict = self.node.send(transaction)
            # Bitcoin Core takes a second broadcast of the same transaction for a success.
            if (
                not isinstance(verdict, PolicyRejection)
                or verdict.reason == "txn-already-in-mempool"
            ):
                return str(transaction.txid)
        message = f"the transaction was rejected by network rules.\n\n{verdict}\n[{raw_tx}]"
        raise Refusal(_BAD_REQUEST, message)


def _view(node: RegtestNode) -> View:
    return View(node.chain, node.mempool)


def _line(answer: Mapping[str, Json]) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", **answer}) + b"\n"


def _news(method: str, *parameters: Json) -> bytes:
    return _line({"method": method, "params": list(parameters)})


def _version(_: View, _client_name: str = "", offer: Json = PROTOCOL) -> Json:
    least = offer[0] if isinstance(offer, list) and offer else offer
    if least != PROTOCOL:
        raise Refusal(_BAD_REQUEST, f"unsupported protocol version: this server speaks {PROTOCOL}")
    return [_SOFTWARE, PROTOCOL]


def _features(view: View) -> Json:
    return {
        "genesis_hash": str(view.chain.at(0)),
        "hosts": {},
        "protocol_max": PROTOCOL,
        "protocol_min": PROTOCOL,
        "pruning": None,
        "server_version": _SOFTWARE,
        "hash_function": "sha256",
    }


def _header(view: View, height: int) -> str:
    return view.chain.block_at(height).header.serialize().hex()


def _block_header(view: View, height: int, _cp_height: int = 0) -> Json:
    if not 0 <= height <= view.chain.height:
        raise Refusal(_BAD_REQUEST, f"height {height} out of range")
    return _header(view, height)


def _block_headers(view: View, start_height: int, count: int, _cp_height: int = 0) -> Json:
    end = min(start_height + min(count, _MOST_HEADERS), view.chain.height + 1)
    found = [_header(view, height) for height in range(max(start_height, 0), end)]
    return {"count": len(found), "hex": "".join(found), "max": _MOST_HEADERS}


def _history(view: View, scripthash: str) -> list[dict[str, Json]]:
    script = _script_hash(scripthash)
    confirmed: list[dict[str, Json]] = [
        {"tx_hash": str(txid), "height": view.chain.index.transactions[txid].height}
        for txid in view.chain.index.history(script)
    ]
    return [*confirmed, *_waiting(view, scripthash)]


def _waiting(view: View, scripthash: str) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []
    for txid in reversed(view.mempool.history(_script_hash(scripthash))):
        entry = view.mempool.get(txid)
        if entry is not None:
            sources = (item.previous_output.txid for item in entry.transaction.inputs)
            is_on_waiting = any(view.mempool.get(source) is not None for source in sources)
            height = _ON_WAITING if is_on_waiting else _DEPTH_OF_WAITING
            found.append({"tx_hash": str(txid), "height": height, "fee": int(entry.fee)})
    return found


def _get_history(view: View, scripthash: str) -> Json:
    return [*_history(view, scripthash)]


def _get_mempool(view: View, scripthash: str) -> Json:
    return [*_waiting(view, scripthash)]


def _status(view: View, scripthash: str) -> str | None:
    history = _history(view, scripthash)
    parts = "".join(f"{entry['tx_hash']}:{entry['height']}:" for entry in history)
    return sha256(parts.encode()).hex() if history else None


def _unspent(view: View, scripthash: str) -> Json:
    found: list[Json] = []
    for entry in _history(view, scripthash):
        txid = Txid.from_hex(str(entry["tx_hash"]))
        transaction = _known(view, txid)
        for vout, output in enumerate(transaction.outputs):
            outpoint = OutPoint(txid, vout)
            spent = outpoint in view.chain.index.spenders or view.mempool.spender(outpoint)
            if sha256(output.script_pubkey) == _script_hash(scripthash) and not spent:
                found.append(
                    {
                        "tx_hash": str(txid),
                        "tx_pos": vout,
                        "height": max(int(str(entry["height"])), 0),
                        "value": int(output.value),
                    }
                )
    return found


def _transaction_get(view: View, tx_hash: str, verbose: bool = False) -> Json:  # noqa: FBT001, FBT002  the protocol's order
    if verbose:
        raise Refusal(_BAD_REQUEST, "verbose transactions are not supported")
    return _known(view, Txid.from_hex(tx_hash)).serialize().hex()


def _known(view: View, txid: Txid) -> Transaction:
    found = view.transaction(txid)
    if found is None:
        raise Refusal(
            _DAEMON_ERROR,
            "daemon error: DaemonError({'code': -5, 'message':"
            " 'No such mempool or blockchain transaction.'})",
        )
    return found


def _merkle(view: View, tx_hash: str, height: int = 0) -> Json:
    proof = view.merkle_proof_json(Txid.from_hex(tx_hash))
    if proof is None:
        raise Refusal(_BAD_REQUEST, f"tx {tx_hash} not in block at height {height}")
    return proof


def _txid_at(view: View, height: int, tx_pos: int, _merkle: bool = False) -> Json:  # noqa: FBT001, FBT002  the protocol's order
    if not 0 <= height <= view.chain.height:
        raise Refusal(_BAD_REQUEST, f"height {height} out of range")
    txids = view.chain.block_at(height).txids
    if not 0 <= tx_pos < len(txids):
        raise Refusal(_BAD_REQUEST, f"no tx at position {tx_pos} in block at height {height}")
    return str(txids[tx_pos])


def _script_hash(text: str) -> bytes:
    # A script hash is written in reverse, as a txid is.
    return Txid.from_hex(text)


def _fee(view: View, _number: int = 1) -> Json:
    return float(view.mempool.usual_fee_rate.sat_per_vb.scaleb(-5))


def _relay_fee(view: View) -> Json:
    return float(view.mempool.min_fee_rate.sat_per_vb.scaleb(-5))


def _pong(_: View) -> Json:
    return None


def _none(_: View) -> Json:
    return []


def _text(_: View) -> Json:
    return ""


_ANSWERS: dict[str, _Answer] = {
    "server.version": _version,
    "server.features": _features,
    "server.ping": _pong,
    "server.banner": _text,
    "server.donation_address": _text,
    "server.peers.subscribe": _none,
    "blockchain.block.header": _block_header,
    "blockchain.block.headers": _block_headers,
    "blockchain.estimatefee": _fee,
    "blockchain.relayfee": _relay_fee,
    "blockchain.scripthash.get_history": _get_history,
    "blockchain.scripthash.get_mempool": _get_mempool,
    "blockchain.scripthash.listunspent": _unspent,
    "blockchain.transaction.get": _transaction_get,
    "blockchain.transaction.get_merkle": _merkle,
    "blockchain.transaction.id_from_pos": _txid_at,
    "mempool.get_fee_histogram": _none,
}
