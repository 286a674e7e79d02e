"""Esplora's POST requests (a broadcast, and mempool's test), and our own `/regtest/` actions."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dovetail.bitcoin.script import Address, Network, Script
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidAddress, InvalidTransaction, UsageError
from dovetail.regtest.node import RegtestNode
from dovetail.regtest.policy import Accepted, PolicyRejection

_Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
_Answer: TypeAlias = dict[str, object]
_Wanted = TypeVar("_Wanted")

_MAX_BODY = 8_000_000
_MAX_MINED = 1000
_BlockCount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_MAX_MINED)]
_MOST_TESTED = 25
_TESTED_WORDS = {"bad-txns-inputs-missingorspent": "missing-inputs"}
"""Reasons that a node names otherwise when it only tests a transaction."""
_COIN = 100_000_000
# Bitcoin Core's RPC error codes.
_MISSING_INPUTS, _REJECTED, _ALREADY_CONFIRMED, _NOT_A_TRANSACTION = -25, -26, -27, -22


class _Mine(msgspec.Struct, forbid_unknown_fields=True):
    blocks: _BlockCount = 1
    address: str | None = None


class _Fund(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    sats: Annotated[int, msgspec.Meta(ge=0)]
    confirmations: _BlockCount = 1


class _Reorg(msgspec.Struct, forbid_unknown_fields=True):
    depth: _BlockCount = 1


def action_routes(node: RegtestNode) -> list[Route]:
    """`POST /tx`, `POST /txs/test` and `POST /regtest/…`."""
    endpoints = {
        "/tx": _broadcast(node),
        "/txs/test": _endpoint(node, list[str], _test),
        "/regtest/mine": _endpoint(node, _Mine, _mine),
        "/regtest/fund": _endpoint(node, _Fund, _fund),
        "/regtest/reorg": _endpoint(node, _Reorg, _reorg),
    }
    return [Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]


async def refuse(request: Request, error: Exception) -> Response:
    """Tell what one of our own errors says: as JSON to an action, else as text."""
    if "/regtest/" in request.url.path:
        return JSONResponse({"error": str(error)}, 400)
    return PlainTextResponse(str(error), 400)


def _broadcast(node: RegtestNode) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            transaction = _parse_transaction((await _read(request)).decode("ascii", "replace"))
        except InvalidTransaction:
            return _rpc_error(_NOT_A_TRANSACTION, "TX decode failed.")
        match node.send(transaction):
            case Accepted():
                pass
            # Bitcoin Core takes a second broadcast of the same transaction for a success.
            case PolicyRejection(reason="txn-already-in-mempool"):
                pass
            case PolicyRejection(reason="txn-already-known"):
                return _rpc_error(_ALREADY_CONFIRMED, "Transaction outputs already in utxo set")
            case PolicyRejection(reason="bad-txns-inputs-missingorspent") as refused:
                return _rpc_error(_MISSING_INPUTS, str(refused))
            case refused:
                return _rpc_error(_REJECTED, str(refused))
        return PlainTextResponse(str(transaction.txid))

    return endpoint


def _endpoint(
    node: RegtestNode,
    request_type: type[_Wanted],
    action: Callable[[RegtestNode, _Wanted], _Answer | list[_Answer]],
) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        data = await _read(request)
        try:
            wanted = msgspec.json.decode(data or b"{}", type=request_type)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"The request's body is wrong ({error}); correct it.") from error
        return JSONResponse(action(node, wanted))

    return endpoint


def _mine(node: RegtestNode, wanted: _Mine) -> _Answer:
    script = None if wanted.address is None else _script(wanted.address)
    return {"blocks": [str(name) for name in node.mine(wanted.blocks, script)]}


def _fund(node: RegtestNode, wanted: _Fund) -> _Answer:
    script, sats = _script(wanted.address), Sats(wanted.sats)
    outpoint = node.fund(script, sats, confirmations=wanted.confirmations)
    return {"txid": str(outpoint.txid), "vout": outpoint.vout}


def _test(node: RegtestNode, wanted: list[str]) -> list[_Answer]:
    """As mempool's Esplora passes on a node's `testmempoolaccept`; each transaction by itself."""
    if not 1 <= len(wanted) <= _MOST_TESTED:
        raise UsageError(f"Between 1 and {_MOST_TESTED} transactions are tested at once.")
    return [_verdict(node, _parse_transaction(text)) for text in wanted]


def _verdict(node: RegtestNode, transaction: Transaction) -> _Answer:
    named: _Answer = {"txid": str(transaction.txid), "wtxid": str(transaction.wtxid)}
    match node.test(transaction):
        case Accepted() as accepted:
            fees = {"base": float(Decimal(accepted.fee) / _COIN)}
            return named | {"allowed": True, "vsize": -(-accepted.weight // 4), "fees": fees}
        case PolicyRejection() as refused:
            reason = _TESTED_WORDS.get(refused.reason, refused.reason)
            return named | {
                "allowed": False,
                "reject-reason": reason,
                "reject-details": refused.details or reason,
            }


def _reorg(node: RegtestNode, wanted: _Reorg) -> _Answer:
    return {"blocks": [str(name) for name in node.reorg(wanted.depth)]}


async def _read(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BODY:
            raise HTTPException(413, "The request's body is too large")
    return data


def _rpc_error(code: int, message: str) -> Response:
    """A refusal in the words in which Esplora passes on a node's."""
    body = json.dumps({"code": code, "message": message}, separators=(",", ":"))
    return PlainTextResponse(f"sendrawtransaction RPC error: {body}", 400)


def _parse_transaction(text: str) -> Transaction:
    try:
        data = bytes.fromhex(text.strip())
    except ValueError as error:
        raise InvalidTransaction("A transaction must be given in hex; copy it again.") from error
    return Transaction.parse(data)


def _script(text: str) -> Script:
    address = Address.parse(text)
    if not address.is_for(Network.REGTEST):
        raise InvalidAddress("The address is for another network; give a regtest address.")
    return address.script_pubkey
