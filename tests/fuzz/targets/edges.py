"""What comes in at the edges: the user's files, and answers about the chain and from Tor."""

import asyncio
import atexit
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import httpcore2
from tests.fuzz.choices import Choices
from tests.fuzz.scratch import folder
from tests.fuzz.target import Target, parsed, require
from tests.fuzz.targets.servers import questions
from tests.protocol.builders import PAYEE
from tests.sessions.sender.play import fallback
from tests.wallets.fake_connections import Answering

from dovetail.bitcoin.script import Network
from dovetail.cli import config
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import (
    ChainError,
    ConfigurationError,
    StoreUnavailable,
    TransportError,
    WalletError,
)
from dovetail.mailroom.keys import KeyRing
from dovetail.runtime.socks import SocksBackend
from dovetail.tor import SocksProxy
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.wallet_file import read_secret


def configuration(data: bytes) -> None:
    """A configuration file, or the value of one variable."""
    choices = Choices(data)
    if choices.below(2) == 0:
        path = folder() / "config.toml"
        path.write_bytes(choices.rest())
        given: dict[str, Any] = {"config": str(path)}
        found = parsed(lambda: config.load(given, {}), error=ConfigurationError)
    else:
        variable = choices.one_of(config.KEYS).variable
        environment = {variable: choices.rest().decode("utf-8", "surrogateescape")}
        unread = {"config": str(_empty())}
        found = parsed(lambda: config.load(unread, environment), error=ConfigurationError)
    if found is not None:
        require(found.data_dir.is_absolute(), "a folder is the same from everywhere")
        require(1 <= found.depth <= 144, "a payment settles")
        require(0.1 <= found.watch_interval <= 3600, "the chain is looked at")
        require(60 <= found.lifetime <= 30 * 86_400, "a URI expires")


@cache
def _empty() -> Path:
    path = folder() / "empty.toml"
    path.write_bytes(b"")
    return path


def configurations() -> Iterable[bytes]:
    file = b"\0"
    yield file + b'network = "regtest"\nrelays = ["https://a.example"]\ndepth = 2\ngrace = "5m"\n'
    yield file + b"watch_interval = 1.5\nmin_fee_rate = 0.5\ndirect = true\nlifetime = 3600\n"
    yield file + b'data_dir = "~/x"\nmax_fee_rate = "50"\nat_expiry = "ask"\n[table]\n'
    for at, value in enumerate((b"/tmp/x", b"regtest", b"bdk", b"http://127.0.0.1:1", b"90s")):
        yield bytes((1, at)) + value
    yield from (bytes((1, at)) + b"1" for at in range(5, len(config.KEYS)))


def key_files(data: bytes) -> None:
    """The files a wallet and a mailroom keep their secrets in."""
    place = folder()
    (place / "wallet.json").write_bytes(data)
    parsed(lambda: read_secret(place), error=(WalletError, ConfigurationError))
    path = place / "ohttp-keys.json"
    path.write_bytes(data)
    ring = parsed(
        lambda: KeyRing.open(path, honoured=10.0, now=20.0, entropy=SeededEntropy(b"fuzz")),
        error=(ConfigurationError, StoreUnavailable),
    )
    if ring is not None:
        require(len(ring.served) == 74, "a gateway has a key to serve")
        require(bool(ring.accepted), "and takes what is sealed for it")
        ring.age(20.0)


def secrets() -> Iterable[bytes]:
    yield (
        b'{"version":1,"network":"regtest","kind":"P2TR","mnemonic":null,"external":"tr(a)",'
        b'"internal":"tr(b)"}'
    )
    key = "01" * 32
    yield f'{{"format":1,"keys":[{{"id":7,"secret":"{key}","since":1.5}}]}}'.encode()


def esplora(data: bytes) -> None:
    """What a chain server says, whatever it is asked."""
    choices = Choices(data)
    what = choices.below(6)
    network = Network.REGTEST if choices.below(2) else Network.SIGNET

    def respond(_request: httpcore2.Request) -> httpcore2.Response:
        status = choices.one_of((200, 404, 400, 429, 503))
        size = choices.number(2) % 2048
        known = size < len(ANSWERS)
        return httpcore2.Response(status, content=ANSWERS[size] if known else choices.take(size))

    chain = chain_on(network)
    http: Any = chain._http
    http._carrier = Answering(respond)
    answer = parsed(questions(chain)[what], error=ChainError)
    if what == 0 and answer is not None:
        require(0 <= answer <= 100_000_000, "a height is a height")


@cache
def chain_on(network: Network) -> EsploraChain:
    """A chain source of which only the transport is not real."""
    chain = EsploraChain("http://127.0.0.1:1", network)
    atexit.register(chain.close)
    return chain


STATUS = b'{"confirmed":true,"block_height":7}'
ANSWERS = (
    b"9",
    b'{"spent":true,"txid":"' + str(fallback().txid).encode() + b'","status":' + STATUS + b"}",
    fallback().serialize().hex().encode(),
    b'[{"txid":"'
    + b"ab" * 32
    + b'","vout":[{"value":5,"scriptpubkey":"'
    + PAYEE.hex().encode()
    + b'"}],"status":'
    + STATUS
    + b"}]",
    b'{"1":20.5,"6":2.0,"144":1e-3}',
    b'{"allowed":false,"reason":"min relay fee not met"}',
    b'[{"allowed":true}]',
    b'sendrawtransaction RPC error: {"code":-26,"message":"txn-mempool-conflict"}',
    str(fallback().txid).encode(),
    b'{"txid":"' + str(fallback().txid).encode() + b'","vout":[],"status":' + STATUS + b"}",
    b"[]",
)


def chain_answers() -> Iterable[bytes]:
    known = [b"\0" + number.to_bytes(2) for number in range(len(ANSWERS))]
    for what in range(6):
        for network in range(2):
            start = bytes((what, network))
            yield from (start + known[0] + each for each in known)
    for answer in ANSWERS:
        yield bytes((4, 0)) + known[0] + b"\0" + len(answer).to_bytes(2) + answer


# Its signatures are those of httpcore2.
class _Stream(httpcore2.AsyncNetworkStream):
    """A connection to a proxy that says what it likes."""

    def __init__(self, said: bytes) -> None:
        self._said = Choices(said)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109
        return self._said.take(min(max_bytes, 7))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        require(len(buffer) <= 262, "a name is bounded")

    async def aclose(self) -> None:
        pass


class _Network(httpcore2.AsyncNetworkBackend):
    def __init__(self, said: bytes) -> None:
        self._said = said

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        return _Stream(self._said)


@cache
def loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    atexit.register(made.close)
    return made


def proxy(data: bytes) -> None:
    """What answers where Tor should be, and the setting that says where."""
    choices = Choices(data)
    host = choices.some().decode("latin-1")
    parsed(SocksProxy.parse, host, error=ConfigurationError)
    backend: Any = SocksBackend(SocksProxy("127.0.0.1"))
    backend._network = _Network(choices.rest())
    dialled = backend.connect_tcp(host, 443)
    parsed(lambda: loop().run_until_complete(dialled), error=TransportError)


def proxies() -> Iterable[bytes]:
    host = b"\x0aabcd.onion"
    yield host + b"\5\0\5\0\0\1" + bytes(6)
    yield host + b"\5\0\5\0\0\3\4host\0\0"
    yield host + b"\5\0\5\5\0\1"
    yield b"\x16socks5://127.0.0.1:905"


TARGETS = (
    Target(
        "config",
        configuration,
        configurations,
        (*(f"{key.name} = ".encode() for key in config.KEYS), b'"', b"[", b"~", b"0x", b"nan"),
        8192,
    ),
    Target("key-files", key_files, secrets, (b"Infinity", b"1e400", b"[[", b"-1", b'"id":')),
    Target("tor-proxy", proxy, proxies, (b"socks5://", b".onion"), 1024),
    Target("chain-answers", esplora, chain_answers, (b'"txid":', b'"value":', b"1e400"), 2048),
)
