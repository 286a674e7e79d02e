"""The words in which a chain server refuses a transaction, one dialect for each kind of server.

Sources: Blockstream's and mempool.space's electrs (a JSON error of the node behind a sentence),
romanz/electrs (code 2 and the node's words alone), ElectrumX and Fulcrum (code 1 and a sentence
of their own), and an Esplora behind a proxy that answers 403 to every refused `POST /tx`.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from unittest.mock import patch

from starlette.responses import PlainTextResponse, Response

from dovetail.bitcoin import Transaction
from dovetail.regtest import PolicyRejection, esplora_actions
from dovetail.regtest.electrum import ElectrumSession, Refusal

_BAD_REQUEST, _DAEMON_ERROR = 1, 2


class Dialect(StrEnum):
    ESPLORA = "Esplora"
    FORBIDDEN = "Esplora, 403"
    ELECTRS = "electrs"
    ELECTRUMX = "ElectrumX"
    FULCRUM = "Fulcrum"

    @property
    def is_electrum(self) -> bool:
        """Whether the parties ask over the Electrum protocol."""
        return self in _ELECTRUM


@dataclass(frozen=True, slots=True)
class _Words:
    code: int
    sentence: Callable[[str, str], str]


_ELECTRUM = {
    Dialect.ELECTRS: _Words(_DAEMON_ERROR, lambda said, _raw: said),
    Dialect.ELECTRUMX: _Words(
        _BAD_REQUEST,
        lambda said, raw: f"the transaction was rejected by network rules.\n\n{said}\n[{raw}]",
    ),
    Dialect.FULCRUM: _Words(
        _BAD_REQUEST,
        lambda said, _raw: f"the transaction was rejected by network rules.\n\n{said}\n",
    ),
}


@contextmanager
def speaking(dialect: Dialect) -> Generator[None]:
    """Let the chain server of this process speak it."""
    words = _ELECTRUM.get(dialect)
    if words is not None:
        with _electrum(words):
            yield
    elif dialect is Dialect.FORBIDDEN:
        with patch.object(esplora_actions, "_rpc_error", _forbidden):
            yield
    else:
        yield


@contextmanager
def _electrum(words: _Words) -> Generator[None]:
    def broadcast(session: ElectrumSession, _view: Any, raw_tx: str) -> str:
        transaction = Transaction.parse(bytes.fromhex(raw_tx))
        verdict = session.node.send(transaction)
        if isinstance(verdict, PolicyRejection) and verdict.reason != "txn-already-in-mempool":
            raise Refusal(words.code, words.sentence(str(verdict), raw_tx))
        return str(transaction.txid)

    with patch.object(ElectrumSession, "_broadcast", broadcast):
        yield


def _forbidden(_code: int, _message: str) -> Response:
    return PlainTextResponse("403 Forbidden", 403)
