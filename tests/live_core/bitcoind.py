"""A real Bitcoin Core node on a regtest chain of its own, where `BITCOIND` or PATH has one."""

import base64
import json
import os
import shutil
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx
from tests.support.servers import free_port

from dovetail.bitcoin import Network, OutPoint, Sats, Transaction, Txid
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import CookieFile

ABSENT = "needs Bitcoin Core: set BITCOIND to a bitcoind, or put one on PATH"
_PATIENCE = 60.0
_MATURE = 101


def installed() -> str | None:
    return os.environ.get("BITCOIND") or shutil.which("bitcoind")


class RpcFailed(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code


class NodeAccess:
    """Access to a node that somebody has started; this is not the code that is tested."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._http = httpx.Client(timeout=60)

    def close(self) -> None:
        self._http.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie(self) -> Path:
        return self.folder / "regtest" / ".cookie"

    def is_up(self) -> bool:
        try:
            self.rpc("getblockcount")
        except (httpx.TransportError, FileNotFoundError, RpcFailed):
            return False
        return True

    def rpc(self, method: str, *words: Any, wallet: str | None = None, **named: Any) -> Any:
        """What the node answers, amounts as decimals; this is not the code that is tested."""
        login = base64.b64encode(self.cookie.read_bytes().strip()).decode()
        body = {"id": 1, "method": method, "params": named or words}
        answer = self._http.post(
            self.url + ("" if wallet is None else f"/wallet/{wallet}"),
            content=json.dumps(body, default=str),
            headers={"authorization": f"Basic {login}"},
        )
        if not answer.content:  # such as to the cookie of the run before
            raise RpcFailed(answer.status_code, "no answer")
        told = json.loads(answer.text, parse_float=Decimal)
        if told["error"] is not None:
            raise RpcFailed(told["error"]["code"], told["error"]["message"])
        return told["result"]

    def node(self, wallet: str, *, timeout: float = 30.0) -> CoreNode:
        return CoreNode(
            self.url,
            CookieFile(self.cookie),
            wallet=wallet,
            network=Network.REGTEST,
            timeout=timeout,
        )

    def make_wallet(self, name: str, **options: Any) -> None:
        self.rpc("createwallet", wallet_name=name, **options)

    def mine(self, blocks: int = 1) -> list[str]:
        """Blocks whose reward is nobody's here, from a wallet that tests do not look into."""
        if "miner" not in self.rpc("listwallets"):
            self.make_wallet("miner")
        there = self.rpc("getnewaddress", wallet="miner")
        return list(self.rpc("generatetoaddress", blocks, there))

    def fund(self, address: str, sats: int, *, blocks: int = 1) -> OutPoint:
        """Pay an address, and mine."""
        if "miner" not in self.rpc("listwallets") or not self.rpc("getbalance", wallet="miner"):
            self.mine(_MATURE)
        txid = self.rpc("sendtoaddress", address, Sats(sats).to_btc(), wallet="miner")
        if blocks:
            self.mine(blocks)
        transaction = self.transaction(txid)
        for vout, output in enumerate(transaction.outputs):
            if output.value == sats:
                return OutPoint(Txid.from_hex(txid), vout)
        raise AssertionError("The payment has no such output.")

    def transaction(self, txid: str, *, wallet: str = "miner") -> Transaction:
        told = self.rpc("gettransaction", txid, wallet=wallet)
        return Transaction.parse(bytes.fromhex(told["hex"]))

    def locked(self, wallet: str) -> set[OutPoint]:
        """What is locked in a wallet, by whomever."""
        told = self.rpc("listlockunspent", wallet=wallet)
        return {OutPoint(Txid.from_hex(each["txid"]), each["vout"]) for each in told}


class Bitcoind(NodeAccess):
    """A node in a process of its own, which ends with it. It listens on loopback alone."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, free_port())
        self._words = command(folder, self.port, *options)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.close()

    def start(self, *more: str) -> None:
        self._process = subprocess.Popen(
            [*self._words, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _PATIENCE
        while not self.is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError("The node did not start: see its debug.log.")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def command(folder: Path, port: int, *options: str) -> list[str]:
    """What starts a node; its folder is made. Raises `FileNotFoundError` without a program."""
    program = installed()
    if program is None:
        raise FileNotFoundError(ABSENT)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        program,
        "-regtest",
        f"-datadir={folder}",
        f"-rpcport={port}",
        "-server=1",
        "-listen=0",
        "-dnsseed=0",
        "-fixedseeds=0",
        "-discover=0",
        "-natpmp=0",
        "-printtoconsole=0",
        "-dbcache=4",
        "-par=1",
        "-fallbackfee=0.00002",
        *options,
    ]
