"""An Esplora-compatible HTTP API (Blockstream/esplora, API.md) for a regtest node.

Left out of Esplora's answers: disassembled scripts and Liquid's fields. `esplora_actions`
adds what only a chain of one's own can do.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid
from dovetail.errors import DovetailError, InvalidAddress
from dovetail.regtest.blocks import BlockHash
from dovetail.regtest.chain import StoredBlock
from dovetail.regtest.esplora_actions import action_routes, refuse
from dovetail.regtest.esplora_json import Json, View
from dovetail.regtest.node import RegtestNode

_Parameters: TypeAlias = Mapping[str, str]
_Answer: TypeAlias = "Callable[[View, _Parameters], Response | Json]"

_ESTIMATE_TARGETS = (*range(1, 26), 144, 504, 1008)


def esplora_app(node: RegtestNode) -> Starlette:
    """The ASGI application; it serves the same routes at the root and under `/api`."""
    view = View(node.chain, node.mempool)
    routes = [_route(node, view, path, answer) for path, answer in _ANSWERS.items()]
    routes += action_routes(node)
    return Starlette(
        routes=[*routes, Mount("/api", routes=routes)],
        exception_handlers={DovetailError: refuse},
    )


def _route(node: RegtestNode, view: View, path: str, answer: _Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        with node.lock:
            result = answer(view, request.path_params)
        match result:
            case Response():
                return result
            case str():
                return PlainTextResponse(result)
            case _:
                return JSONResponse(result)

    return Route(path, endpoint, methods=["GET"])


def _tip_height(view: View, _: _Parameters) -> Json:
    return str(view.chain.height)


def _tip_hash(view: View, _: _Parameters) -> Json:
    return str(view.chain.tip)


def _newest_blocks(view: View, _: _Parameters) -> Json:
    return view.blocks_json(view.chain.height)


def _blocks_from(view: View, given: _Parameters) -> Json:
    return view.blocks_json(_number(given["height"]))


def _block_hash_at(view: View, given: _Parameters) -> Json:
    found = view.chain.at(_number(given["height"]))
    if found is None:
        raise HTTPException(404, "Block not found")
    return str(found)


def _block(view: View, given: _Parameters) -> Json:
    return view.block_json(_stored_block(view, given))


def _block_header(view: View, given: _Parameters) -> Json:
    return _stored_block(view, given).block.header.serialize().hex()


def _block_status(view: View, given: _Parameters) -> Json:
    return view.block_status_json(BlockHash.from_hex(given["block"]))


def _block_raw(view: View, given: _Parameters) -> Response:
    return _binary(_stored_block(view, given).raw)


def _block_txids(view: View, given: _Parameters) -> Json:
    return [str(txid) for txid in _stored_block(view, given).block.txids]


def _block_txid(view: View, given: _Parameters) -> Json:
    txids = _stored_block(view, given).block.txids
    position = _number(given["position"])
    if position >= len(txids):
        raise HTTPException(404, "Transaction not found")
    return str(txids[position])


def _tx(view: View, given: _Parameters) -> Json:
    return view.transaction_json(_transaction(view, given))


def _tx_hex(view: View, given: _Parameters) -> Json:
    return _transaction(view, given).serialize().hex()


def _tx_raw(view: View, given: _Parameters) -> Response:
    return _binary(_transaction(view, given).serialize())


def _tx_status(view: View, given: _Parameters) -> Json:
    return view.status_json(Txid.from_hex(given["txid"]))


def _tx_outspend(view: View, given: _Parameters) -> Json:
    return view.outspend_json(OutPoint(Txid.from_hex(given["txid"]), _number(given["vout"])))


def _tx_outspends(view: View, given: _Parameters) -> Json:
    transaction = _transaction(view, given)
    return [
        view.outspend_json(OutPoint(transaction.txid, vout))
        for vout in range(len(transaction.outputs))
    ]


def _merkle_proof(view: View, given: _Parameters) -> Json:
    proof = view.merkle_proof_json(Txid.from_hex(given["txid"]))
    if proof is None:
        raise HTTPException(404, "Transaction not found or is unconfirmed")
    return proof


def _merkle_block_proof(view: View, given: _Parameters) -> Json:
    proof = view.merkle_block_hex(Txid.from_hex(given["txid"]))
    if proof is None:
        raise HTTPException(404, "Transaction not found or is unconfirmed")
    return proof


def _script_statistics(view: View, given: _Parameters) -> Json:
    name = "address" if "address" in given else "scripthash"
    return {name: given[name], **view.statistics_json(_script_hash(given))}


def _script_txs(view: View, given: _Parameters) -> Json:
    script = _script_hash(given)
    return [*view.waiting_history_json(script), *view.confirmed_history_json(script)]


def _script_txs_chain(view: View, given: _Parameters) -> Json:
    after = Txid.from_hex(given["last"]) if "last" in given else None
    return view.confirmed_history_json(_script_hash(given), after)


def _script_txs_mempool(view: View, given: _Parameters) -> Json:
    return view.waiting_history_json(_script_hash(given))


def _script_utxo(view: View, given: _Parameters) -> Json:
    return view.unspent_json(_script_hash(given))


def _fee_estimates(view: View, _: _Parameters) -> Json:
    rate = float(view.mempool.usual_fee_rate.sat_per_vb)
    return {str(target): rate for target in _ESTIMATE_TARGETS}


def _mempool(view: View, _: _Parameters) -> Json:
    return view.mempool_json()


def _mempool_txids(view: View, _: _Parameters) -> Json:
    return [str(entry.transaction.txid) for entry in view.mempool]


_BLOCK, _TX = "/block/{block}", "/tx/{txid}"
_SCRIPT_ANSWERS: dict[str, _Answer] = {
    "": _script_statistics,
    "/txs": _script_txs,
    "/txs/chain": _script_txs_chain,
    "/txs/chain/{last}": _script_txs_chain,
    "/txs/mempool": _script_txs_mempool,
    "/utxo": _script_utxo,
}
_ANSWERS: dict[str, _Answer] = {
    "/blocks/tip/height": _tip_height,
    "/blocks/tip/hash": _tip_hash,
    "/blocks": _newest_blocks,
    "/blocks/{height}": _blocks_from,
    "/block-height/{height}": _block_hash_at,
    _BLOCK: _block,
    f"{_BLOCK}/header": _block_header,
    f"{_BLOCK}/status": _block_status,
    f"{_BLOCK}/raw": _block_raw,
    f"{_BLOCK}/txids": _block_txids,
    f"{_BLOCK}/txid/{{position}}": _block_txid,
    _TX: _tx,
    f"{_TX}/hex": _tx_hex,
    f"{_TX}/raw": _tx_raw,
    f"{_TX}/status": _tx_status,
    f"{_TX}/outspend/{{vout}}": _tx_outspend,
    f"{_TX}/outspends": _tx_outspends,
    f"{_TX}/merkle-proof": _merkle_proof,
    f"{_TX}/merkleblock-proof": _merkle_block_proof,
    **{f"/scripthash/{{scripthash}}{path}": item for path, item in _SCRIPT_ANSWERS.items()},
    **{f"/address/{{address}}{path}": item for path, item in _SCRIPT_ANSWERS.items()},
    "/fee-estimates": _fee_estimates,
    "/mempool": _mempool,
    "/mempool/txids": _mempool_txids,
}


def _stored_block(view: View, given: _Parameters) -> StoredBlock:
    found = view.chain.get(BlockHash.from_hex(given["block"]))
    if found is None:
        raise HTTPException(404, "Block not found")
    return found


def _transaction(view: View, given: _Parameters) -> Transaction:
    found = view.transaction(Txid.from_hex(given["txid"]))
    if found is None:
        raise HTTPException(404, "Transaction not found")
    return found


def _script_hash(given: _Parameters) -> bytes:
    if "address" in given:
        address = Address.parse(given["address"])
        if not address.is_for(Network.REGTEST):
            raise InvalidAddress("The address is for another network; give a regtest address.")
        return sha256(address.script_pubkey)
    # A script hash has the form of a txid, but stands in the order SHA-256 gives.
    return Txid.from_hex(given["scripthash"])[::-1]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise HTTPException(400, "Invalid number")
    return int(text)


def _binary(data: bytes) -> Response:
    return Response(data, media_type="application/octet-stream")
