"""`payjoin-cli` on Bitcoin Core, as people run it, and our default wallet on the other side.

The node follows the run's chain (`tests.live_core.mirror`), so each side has its own way to it.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2 as httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.interop.books import AMOUNT, Books
from tests.interop.environment import Ending, How, Stage
from tests.interop.mailrooms import Make
from tests.interop.pairing import THEM, US, Pairing, Purses, payee_of, payer_of
from tests.interop.programs import Peers
from tests.interop.v1_endpoint import serving_app
from tests.live_core.bitcoind import ABSENT, Bitcoind, installed
from tests.live_core.mirror import Mirror

from dovetail.bitcoin import Address, OutPoint, Txid

CLI_VERSION = "1.0.0"
CORE_VERSION = "31.99 (the development tree)"
"""What the page was written with."""
GET_CLI = (
    "no payjoin-cli on PATH: `cargo install payjoin-cli --version 1.0.0 --locked`, or name one in"
    " PAYJOIN_CLI"
)
_GROUP = "payjoin-cli on Bitcoin Core"
_BTC = Decimal(100_000_000)
_WALLET = "theirs"
_PSBT_2 = 319_900
"""The first version of Bitcoin Core, as it tells it, that makes PSBTs of version 2."""
_TRANSACTION_VERSION = 2


class CliPairing(Pairing):
    """A pairing that needs Bitcoin Core and payjoin-cli."""

    __slots__ = ()

    def missing(self, peers: Peers) -> str | None:
        if installed() is None:
            return ABSENT
        return GET_CLI if program() is None else super().missing(peers)


def program() -> str | None:
    """`payjoin-cli`; None where there is none."""
    return os.environ.get("PAYJOIN_CLI") or shutil.which("payjoin-cli")


@dataclass
class Cli:
    """Somebody with payjoin-cli and a wallet of Bitcoin Core."""

    stage: Stage
    node: Bitcoind
    mirror: Mirror
    home: Path
    coins: list[OutPoint]
    directory: str
    relay: str
    rpc: str
    """Where the node is asked, by way of `_older`."""
    serving: asyncio.subprocess.Process | None = None

    async def balance(self) -> int:
        await asyncio.to_thread(self.mirror.settle)
        told = await asyncio.to_thread(self.node.rpc, "getbalance", wallet=_WALLET)
        return int(Decimal(told) * _BTC)

    async def pay(self, uri: str) -> Ending:
        process = await self._run("send", uri, "--fee-rate", "2")
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        sent = [line for line in out.decode().splitlines() if "Payjoin sent" in line]
        assert sent, out.decode()
        txid = Txid.from_hex(sent[0].rpartition("TXID: ")[2].strip())
        await self.stage.settled(self.coins[0])
        return Ending(How.PAYJOIN, txid)

    async def ask(self, amount: int) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            keys = await client.get(f"{self.directory}/.well-known/ohttp-gateway")
        found = self.home / "ohttp-keys"
        await asyncio.to_thread(found.write_bytes, keys.content)
        self.serving = await self._run("receive", str(amount), "--ohttp-keys", str(found))
        assert self.serving.stdout is not None
        async for line in self.serving.stdout:
            if line.startswith(b"bitcoin:"):
                return line.decode().strip()
        raise AssertionError("payjoin-cli gave no URI")

    async def serve(self) -> None:
        """The rest of `payjoin-cli receive`, until its proposal is out.

        Then it looks for the payjoin for five seconds; we ask its wallet instead.
        """
        assert self.serving is not None
        assert self.serving.stdout is not None
        told = b""
        async for line in self.serving.stdout:
            told += line
            if b"Response successful" in line:
                return
        raise AssertionError(told.decode())

    async def _run(self, *words: str) -> asyncio.subprocess.Process:
        found = program()
        assert found is not None
        return await asyncio.create_subprocess_exec(
            found,
            "--rpchost",
            f"{self.rpc}/wallet/{_WALLET}",
            "--cookie-file",
            str(self.node.cookie),
            "--db-path",
            str(self.home / "payjoin.sqlite"),
            "--max-fee-rate",
            "20",
            "--pj-directories",
            self.directory,
            "--ohttp-relays",
            self.relay,
            *words,
            cwd=self.home,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


async def _they_pay(stage: Stage, pairing: Pairing) -> None:
    async with (
        _cli(stage, pairing) as payer,
        payee_of(stage, pairing, Purses()) as payee,
        stage.mining(),
    ):
        books = await Books.open(stage, payer, payee)
        await books.both(payer.pay(await payee.ask(AMOUNT)), payee.serve())


async def _we_pay(stage: Stage, pairing: Pairing) -> None:
    async with (
        payer_of(stage, pairing, Purses()) as payer,
        _cli(stage, pairing) as payee,
        stage.mining(),
    ):
        books = await Books.open(stage, payer, payee)
        uri = await payee.ask(AMOUNT)
        async with asyncio.TaskGroup() as group:
            paying = group.create_task(payer.pay(uri))
            group.create_task(payee.serve())
        await books.close(paying.result())


@asynccontextmanager
async def _cli(stage: Stage, pairing: Pairing) -> AsyncGenerator[Cli]:
    """A node that follows the chain, a wallet with one coin, and the program."""
    home = stage.place("core")
    with Bitcoind(home / "node", "-txindex=1") as node, Mirror(stage.regtest.url, node) as mirror:
        node.make_wallet(_WALLET)
        address = node.rpc("getnewaddress", "", "bech32", wallet=_WALLET)
        funding = stage.fund([(Address.parse(address).script_pubkey, 150_000)])
        await asyncio.to_thread(mirror.settle)
        coin = OutPoint(funding.txid, 0)
        directory, relay = pairing.directory_url(stage), pairing.relay_url(stage)
        async with _older(node) as rpc:
            cli = Cli(stage, node, mirror, home, [coin], directory, relay, rpc)
            try:
                yield cli
            finally:
                if cli.serving is not None and cli.serving.returncode is None:
                    cli.serving.terminate()
                    await cli.serving.wait()


@asynccontextmanager
async def _older(node: Bitcoind) -> AsyncGenerator[str]:
    """The node's RPC, asked for PSBTs of version 0.

    From version 32 on it makes them of version 2 unless told otherwise, which payjoin-cli 1.0.0
    neither does nor reads.
    """

    newer = node.rpc("getnetworkinfo")["version"] >= _PSBT_2

    async def post(request: Request) -> Response:
        call = await request.json()
        if call["method"] == "walletcreatefundedpsbt" and newer:
            call["params"] = _with_version(call["params"])
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            told = await client.post(
                f"{node.url}{request.url.path}",
                content=json.dumps(call),
                headers={"authorization": request.headers["authorization"]},
            )
        return Response(told.content, told.status_code, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", post, methods=["POST"])])
    async with serving_app(app) as port:
        yield f"http://127.0.0.1:{port}"


def _with_version(params: list[object]) -> list[object]:
    """The parameters of `walletcreatefundedpsbt`, the seventh being the PSBT's version."""
    inputs, outputs, *rest = params
    lock_time, options, paths = (*rest, None, None, None)[:3]
    told = True if paths is None else paths
    return [inputs, outputs, lock_time or 0, options or {}, told, _TRANSACTION_VERSION, 0]


CORE_CLI = tuple(
    CliPairing(_GROUP, "a payjoin", sender, receiver, directory, relay, play)
    for directory, relay in ((THEM, US), (US, THEM))
    for sender, receiver, play in ((Make.CLI, US, _they_pay), (US, Make.CLI, _we_pay))
)
"""Both roles, through each side's directory by the other's relay."""
