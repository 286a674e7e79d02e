"""What an Electrum server and a Bitcoin Core node say, whatever they are asked."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpcore2
from tests.fuzz.choices import Choices
from tests.fuzz.scratch import folder
from tests.fuzz.target import Target, parsed, require
from tests.protocol.builders import PAYEE
from tests.sessions.sender.play import fallback, unsigned_original
from tests.wallets.fake_connections import Answering, content
from tests.wallets.signing import sign_all

from dovetail.bitcoin import FeeRate, Network, Sats
from dovetail.errors import ChainError, ConfigurationError, WalletError
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import UserPassword
from dovetail.wallets.core.wallet import CoreWallet
from dovetail.wallets.electrum.bridge import _Guard
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.electrum.connection import LineReader
from dovetail.wallets.electrum.rpc import _Line
from dovetail.wallets.ports import Chain

RATE = FeeRate.from_sat_per_vb(2)
ODD: tuple[Any, ...] = (None, True, -1, 0, 2**64, 1e308, -0.5, "", "zz", "00", "ab" * 32, [], {})
"""What stands where something else should."""


def told(choices: Choices, known: list[Any]) -> bytes:
    """A result in JSON: as it was once, with one value exchanged, or any bytes."""
    match choices.below(4):
        case 0 | 1:
            return json.dumps(choices.one_of(known)).encode()
        case 2:
            value = json.loads(json.dumps(choices.one_of(known)))
            places = list(_places(value))
            if not places:
                return json.dumps(choices.one_of(ODD)).encode()
            holder, key = choices.one_of(places)
            holder[key] = choices.one_of(ODD)
            return json.dumps(value).encode()
        case _:
            return choices.some()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value where another one could stand."""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, within in tuple(pairs):
        yield value, key
        yield from _places(within)


def questions(chain: Chain) -> tuple[Callable[[], Any], ...]:
    return (
        chain.height,
        lambda: chain.acceptance(fallback()),
        lambda: chain.broadcast(fallback()),
        lambda: chain.spends_of(fallback().contested()),
        lambda: chain.outputs(fallback().contested()),
        chain.min_fee_rate,
        lambda: chain.payments_to(PAYEE),
        lambda: chain.fee_rate(target=6),
    )


class _Said:
    """A connection to an Electrum server that says what it likes."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._lines = b""

    def settimeout(self, _seconds: float) -> None: ...

    def sendall(self, lines: bytes) -> None:
        for line in lines.splitlines():
            number = json.loads(line)["id"]
            result = told(self._choices, ELECTRUM)
            kind = b"error" if self._choices.below(8) == 7 else b"result"
            self._lines += b'{"id":%d,"%b":%b}\n' % (number, kind, result)

    def recv(self, size: int) -> bytes:
        said, self._lines = self._lines[:size], self._lines[size:]
        return said

    def shutdown(self, _how: int) -> None: ...

    def close(self) -> None: ...


ELECTRUM: list[Any] = [
    {"height": 9, "hex": "00" * 80},
    [{"tx_hash": str(fallback().txid), "height": 7}, {"tx_hash": "ab" * 32, "height": 0}],
    fallback().serialize().hex(),
    str(fallback().txid),
    0.00002,
    -1,
    [],
]


def electrum(data: bytes) -> None:
    choices = Choices(data)
    what = choices.below(7)
    if what == 6:
        _guard(choices)
        return
    chain = ElectrumChain("tcp://127.0.0.1:1", Network.REGTEST)
    rpc: Any = chain._rpc
    said: Any = _Said(choices)
    rpc._line = _Line(said, LineReader(said, most=65_536))

    def nobody() -> None:
        raise EOFError

    rpc._open = nobody
    answer = parsed(questions(chain)[what], error=ChainError)
    if what == 0 and answer is not None:
        require(0 <= answer <= 100_000_000, "a height is a height")


def _guard(choices: Choices) -> None:
    """What is let through to BDK has as many whole headers as it says."""
    guard = _Guard()
    guard.note(b'{"id":7,"method":"blockchain.block.headers","params":[0,1]}')
    line = choices.rest()
    if not guard.allows(line):
        return
    try:
        reply = json.loads(line)
    except ValueError:
        return  # BDK's own reader refuses that
    result = reply.get("result") if isinstance(reply, dict) and reply.get("id") == 7 else None
    if result is None:
        return
    found = result["hex"] if result.get("hex") is not None else "".join(result["headers"])
    require(len(found) == 160 * result["count"], "no answer aborts the process")


def electrum_says() -> Iterable[bytes]:
    for what in range(6):
        yield from (bytes((what, 0, at)) + bytes((0, at, 0)) * 6 for at in range(len(ELECTRUM)))
        yield bytes((what, 2, 0, 1, 4, 0)) * 3
    yield b'\6{"id":7,"result":{"count":0,"hex":"","max":2016}}'
    yield b'\6{"id":7,"result":{"count":1,"headers":["' + b"0" * 160 + b'"]}}'


RECORDED = Path(__file__).parents[2] / "wallets" / "core"


@cache
def node_said() -> dict[str, list[Any]]:
    """What a real node answered to each method, when the tests recorded it."""
    found: dict[str, list[Any]] = {}
    for path in sorted(RECORDED.glob("*.json")):
        for entry in json.loads(path.read_text()):
            if len(entry) == 3 and isinstance(entry[2], list):
                for call, answer in zip(entry[0], entry[2], strict=True):
                    results = found.setdefault(call["method"], [])
                    if answer.get("result") not in results and len(results) < 40:
                        results.append(answer.get("result"))
    return found


def node(data: bytes) -> None:
    choices = Choices(data)
    what = choices.below(12)

    def respond(request: httpcore2.Request) -> httpcore2.Response:
        asked = json.loads(content(request))
        calls = [asked] if isinstance(asked, dict) else asked
        said = [_answer(choices, call) for call in calls]
        body = said[0] if isinstance(asked, dict) else b"[" + b",".join(said) + b"]"
        status = choices.one_of((200, 200, 200, 500, 401, 403, 503, 302))
        return httpcore2.Response(status, content=body)

    source = CoreNode(
        "http://127.0.0.1:18443",
        UserPassword("user", "password"),
        wallet="w",
        network=Network.REGTEST,
        carrier=Answering(respond),
    )
    checked: Any = source
    checked._is_checked = choices.below(4) != 0
    wallet, chain = CoreWallet(source, folder()), CoreChain(source)
    psbt = unsigned_original()
    asks: tuple[Callable[[], Any], ...] = (
        *questions(chain),
        wallet.balance,
        wallet.coins,
        lambda: wallet.owned([PAYEE]),
        lambda: wallet.pay(PAYEE, Sats(50_000), fee_rate=RATE),
        lambda: sign_all(wallet, psbt),
        lambda: wallet.revoke(fallback().contested()[0], fee_rate=RATE),
    )
    answer = parsed(asks[what], error=(ChainError, WalletError, ConfigurationError))
    if what == 9 and answer is not None:
        outputs = answer.unsigned_transaction.outputs
        paid = any(out.value == 50_000 and out.script_pubkey == PAYEE for out in outputs)
        require(paid and answer.is_finalized, "what is paid is what was asked for")
    source.close()


def _answer(choices: Choices, call: dict[str, Any]) -> bytes:
    head = b'{"id":%d,' % call["id"]
    if choices.below(8) == 7:
        code = choices.one_of((-1, -4, -5, -6, -8, -12, -13, -18, -25, -26, -27, -28))
        return head + b'"result":null,"error":{"code":%d,"message":"no"}}' % code
    known = node_said().get(call["method"]) or [None]
    return head + b'"result":%b,"error":null}' % told(choices, known)


def node_says() -> Iterable[bytes]:
    for what in range(12):
        for at in range(6):
            yield bytes((what, 1)) + bytes((0, 0, at)) * 12 + bytes(8)
        yield bytes((what, 1, 0, 2, 0, 3, 5, 0)) + bytes((0, 0, 0)) * 8


TARGETS = (
    Target("electrum-answers", electrum, electrum_says, (b'"tx_hash":', b'"height":'), 2048),
    Target("node-answers", node, node_says, (b'"txid":', b'"confirmations":', b"null"), 2048),
)
