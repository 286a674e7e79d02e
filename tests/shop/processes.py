"""A shop as its operator runs it: each part a process of its own, on loopback."""

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from tests.support.bdk import bdk_wallet
from tests.support.postgres import Server

from dovetail import Agent
from dovetail.bitcoin import Address, Network, Sats, TxOut
from dovetail.errors import StoreUnavailable
from dovetail.mailroom import MailroomServer
from dovetail.merchant.data import coins, events, invoices, record, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.webhooks.signature import verify
from dovetail.regtest import RegtestServer
from dovetail.runtime.policy import Policy
from dovetail.stores.ports import SessionId
from dovetail.wallets.bdk.keys import public
from dovetail.wallets.esplora.chain import EsploraChain

PATIENCE = 60.0
EAGER = Policy(watch_interval=0.2, poll_pause=0.05, grace=5)
CONFIG = """
network = "regtest"
chain = "{chain}"
directory = "{mailroom}"
relays = {relays}
watch_interval = "{pace}"
grace = "{grace}s"
[merchant]
database = "{database}"
private_webhooks = true
"""


class Process:
    """A process that can be killed and started again; `variables` are added to its environment."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, name: str, **variables: str
    ) -> None:
        self._command = command
        self._variables = variables
        self.name = name
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[str] | None = None
        self.killed = 0

    def start(self) -> Self:
        """Start it; `wait_ready` waits for its first line."""
        self._lines: queue.Queue[str] = queue.Queue()
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                self._command,
                env=os.environ | self._variables,
                stdout=subprocess.PIPE,
                stderr=said,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self

    def wait_ready(self) -> str:
        """Wait for the line that says that it serves."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return self._lines.get(timeout=0.1).strip()
            except queue.Empty:
                if not self.runs:
                    break
        raise RuntimeError(f"{self.name} did not start: {self.log.read_text()[-2000:]}")

    @property
    def pid(self) -> int:
        """Its number; raises `LookupError` before the start."""
        if self._process is None:
            raise LookupError(f"{self.name} was not started")
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill it as a power cut does."""
        self._signal(signal.SIGKILL)
        self.killed += 1
        if self._process is not None:
            self._process.wait(PATIENCE)

    def hold(self) -> None:
        """Let it stand still."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        if self.runs and self._process is not None:
            self._signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def _read(self, process: "subprocess.Popen[str]") -> None:
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._lines.put(line)


def command(folder: Path, *words: str) -> list[str]:
    own = ["--config", str(folder / "config.toml"), "--data-dir", str(folder)]
    return [sys.executable, "-m", "dovetail.cli", *words, *own]


@dataclass
class Hook:
    """A shop's own endpoint: it counts what it accepted, once for each id."""

    secret: str = ""
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    received: int = 0

    @contextmanager
    def serving(self) -> Generator[str]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                delivery = verify(dict(self.headers), body, hook.secret, now=int(time.time()))
                hook.received += 1
                hook.accepted[delivery] = json.loads(body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook"
        finally:
            server.shutdown()
            server.server_close()

    def about(self, invoice_id: UUID, kind: str) -> int:
        """How many events of this kind it has accepted for an invoice."""
        return sum(
            each["type"] == kind and each["data"]["invoice_id"] == str(invoice_id)
            for each in self.accepted.values()
        )


@dataclass
class Shop:
    """The processes, the chain they share, and a look into the database."""

    folder: Path
    regtest: RegtestServer
    mailroom: str
    """The URL of the directory."""
    relays: tuple[str, ...]
    chain: EsploraChain
    database: Database
    signer: Process
    server: Process
    workers: tuple[Process, ...]
    store_id: UUID
    secret: str
    url: str = ""
    customers: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.signer, self.server, *self.workers)

    def row(self, invoice_id: UUID) -> InvoiceRow:
        found = self.database.read(lambda c: invoices.invoice(c, invoice_id))
        if found is None:
            raise LookupError(invoice_id)
        return found

    def counted(self, invoice_id: UUID) -> list[tuple[str, str]]:
        """The transactions that are credited: kind and txid of each."""
        found = self.database.read(lambda c: record.load(c, invoice_id))
        state = found.state(self.database.now())
        return [(each.kind.value, str(each.txid)) for each in state.counted]

    def told(self, invoice_id: UUID) -> list[tuple[str, str]]:
        found = self.database.read(lambda c: events.events_of(c, invoice_id))
        return [(each.kind, each.cause) for each in found]

    def tags(self, invoice_id: UUID) -> list[str]:
        """The events of the invoice's session so far."""
        session_id = self.row(invoice_id).session_id
        if session_id is None:
            return []
        return [each.tag for each in self.database.sessions.stored(session_id).events]

    def fund(self, *values: int) -> None:
        """Give the hot wallet coins, and wait until the watcher has seen them."""
        script = Address.parse(run(self.folder, "merchant", "deposit")).script_pubkey
        self.regtest.node.fund_many([TxOut(Sats(value), script) for value in values])
        wait(
            lambda: sum(each.script == script for each in self._coins()) >= len(values),
            "the coins are not seen",
        )

    def hold_coins(self, invoice_id: UUID) -> SessionId:
        """Let the session of this invoice hold all coins that are free; returns its id.

        A block with one more coin for the shop is mined first: once the watcher has seen that one,
        it has seen those of earlier payments too.
        """
        self.fund(10_000)
        session_id = self.row(invoice_id).session_id
        if session_id is None:
            raise LookupError(f"{invoice_id} has no session")
        for coin in self._coins():
            self.database.sessions.reserve(session_id, [coin.outpoint])
        return session_id

    def _coins(self) -> list[Any]:
        def read(connection: Any) -> list[Any]:
            (row,) = wallets.all_wallets(connection)
            return [each for each in coins.coins_of(connection, row.id) if each.is_usable]

        return self.database.read(read)

    async def pay(self, uri: str, *, until: Callable[[], object] = lambda: None) -> None:
        """Pay by a customer's wallet; `until` returns when the payment is to be mined."""
        name = f"customer-{next(self.customers)}"
        home = self.folder / name
        wallet = await asyncio.to_thread(bdk_wallet, home / "wallet", self.regtest, 1_000_000)
        async with Agent.open(
            home / "agent",
            wallet=wallet,
            chain=self.chain,
            relays=self.relays,
            policy=EAGER,
        ) as payer:
            paid = await payer.send(uri)
            await asyncio.to_thread(until)
            self.regtest.node.mine()
            await asyncio.wait_for(paid.wait_closed(), PATIENCE)


def run(folder: Path, *words: str) -> str:
    """Run a command to its end; what it prints."""
    done = subprocess.run(
        command(folder, *words), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def wait(met: Callable[[], bool], otherwise: str, *, seconds: float = PATIENCE) -> None:
    """Wait until something holds; it is asked again where its connection was cut."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(StoreUnavailable):
            if met():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.02)


@contextmanager
def open_shop(
    folder: Path,
    *,
    postgresql: bool,
    workers: int = 2,
    grace: int = 5,
    coins: int = 2,
    cold: bool = False,
    pace: str = "0.2s",
    mailroom: str | None = None,
    relays: Sequence[str] = (),
    durable: bool = False,
    port: int = 0,
    expiry: int = 600,
) -> Generator[Shop]:
    """Start all of it; with SQLite the server does the work, and there are no workers.

    A server that is started again has its URL again only where a `port` is given. Invoices are
    to be paid in `expiry` seconds.

    The chain is looked at once in each `pace`. A mailroom that runs already is used by its URL,
    and relays beside it by theirs.
    PostgreSQL is made to survive a crash of the machine only where that is measured: `durable`.
    """
    with ExitStack() as opened:
        regtest = opened.enter_context(RegtestServer())
        mailroom = mailroom or opened.enter_context(MailroomServer()).url
        chain = opened.enter_context(EsploraChain(regtest.url, Network.REGTEST))
        place = str(folder / "shop.db")
        if postgresql:
            server = Server(folder / "postgresql", durable=durable)
            opened.callback(server.close)
            place = opened.enter_context(server.database())
        text = CONFIG.format(
            chain=regtest.url,
            mailroom=mailroom,
            relays=json.dumps(relays or [mailroom]),
            database=place,
            grace=grace,
            pace=pace,
        )
        (folder / "config.toml").write_text(text)
        bdk_wallet(folder / "regtest" / "wallet", regtest)
        own = ["merchant", "signer"]
        if cold:
            kept = bdk_wallet(folder / "cold", regtest)
            own += ["--cold", public(kept.secret())[0]]

        def process(name: str, *words: str) -> Process:
            made = Process(command(folder, *words), folder=folder, name=name)
            opened.callback(made.stop)
            return made

        signer = process("signer", *own).start()
        signer.wait_ready()
        store_id = UUID(run(folder, "merchant", "store", "Shop", "--expiry", str(expiry)))
        secret = run(folder, "merchant", "key", "demo")
        serving = process("server", "merchant", "serve", "--listen", f"127.0.0.1:{port}").start()
        working = tuple(
            process(f"worker {number}", "merchant", "worker")
            for number in range(1, 1 + workers * postgresql)
        )
        url = serving.wait_ready()
        database = opened.enter_context(Database.open(place, upgrade=False))
        shop = Shop(
            folder,
            regtest,
            mailroom,
            tuple(relays) or (mailroom,),
            chain,
            database,
            signer,
            serving,
            working,
            store_id,
            secret,
            url,
        )
        for each in working[:1]:
            each.start()
        shop.fund(*(90_000 + 10_000 * number for number in range(coins)))
        yield shop
