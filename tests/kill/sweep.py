"""One path, one party: killed at its first effect, its second, and so on to the last."""

import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.kill.ledger import (
    AMOUNT,
    ChainView,
    Ending,
    Owner,
    Party,
    State,
    Verdict,
    held,
    judge,
    movement,
)
from tests.kill.nodes import end_node, make_wallet, owner_of, run_node
from tests.kill.parties import PEOPLE
from tests.kill.path import How, Kill, Stuck, Way, nothing
from tests.kill.play import Play, copy
from tests.kill.processes import Process, SharedClock
from tests.kill.servers import Coins, Ports, run_chain

from dovetail.bitcoin import Network, Script, ScriptType
from dovetail.regtest.remote import remote_fund
from dovetail.sessions import receiver, sender
from dovetail.stores.sql import SqliteStore
from dovetail.wallets.bdk.wallet import BdkWallet

_TOO_MANY = 4
"""Kills of one sweep that went wrong: the others would too, each after its time-out."""


_FUNDS: dict[tuple[Coins, Party], tuple[int, ...]] = {
    (Coins.POOR, Party.RECEIVER): (),
    (Coins.EXACT, Party.SENDER): (AMOUNT + 380,),
    (Coins.SPARE, Party.SENDER): (1_000_000, 300_000),
}
_USUAL = {Party.SENDER: (1_000_000,), Party.RECEIVER: (200_000, 350_000)}
_KINDS = {
    Coins.TAPROOT: ScriptType.P2TR,
    Coins.NESTED: ScriptType.P2SH,
    Coins.LEGACY: ScriptType.P2PKH,
}


@dataclass(frozen=True, slots=True)
class Task:
    """A sweep of one party on one path; each `stride`-th number only, from `first` on."""

    way: int
    party: Party
    first: int = 1
    stride: int = 1
    twice: bool = False
    real: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    task: Task
    at: int
    struck: str
    verdict: Verdict


class Worker:
    """Runs sweeps, one after the other, in worlds of its own."""

    def __init__(self, folder: Path, ports: Ports, bodies: Path, *, keep: Path | None) -> None:
        self._folder, self._ports, self._bodies, self._keep = folder, ports, bodies, keep
        self._clock = SharedClock()
        self._bases: dict[Coins, Path] = {}

    def sweep(self, way: Way, task: Task) -> Iterator[Result]:
        """Every kill of the task. Raises `Stuck` where a path cannot even be set up."""
        base = self._base(way.coins)
        stand = copy(base, self._folder / "stand")
        self._clock.ahead = 0
        with self._play(stand, How(way)) as play:
            way.setup(play)
        ahead = self._clock.ahead
        height = self._height(stand)
        if way.setup is nothing:
            shutil.rmtree(stand / "mailroom")  # its first write is one of the effects
        if task.twice:
            yield self._run(way, task, None, stand, ahead, height)
        wrong = 0
        for at in range(task.first, way.most + 1, task.stride):
            result = self._run(way, task, at, stand, ahead, height)
            if result.struck or result.verdict.trouble:
                yield result
            wrong += result.verdict.trouble is not None
            if not result.struck or wrong == _TOO_MANY:
                break
        shutil.rmtree(stand)

    def _run(
        self, way: Way, task: Task, at: int | None, stand: Path, ahead: float, height: int
    ) -> Result:
        """One run, killed at `at` if the party has so many effects."""
        world = copy(stand, self._folder / "run")
        self._clock.ahead = ahead
        kill = None if at is None else Kill(task.party, at)
        how = How(way, kill, twice=task.twice, real=task.real, mailroom=way.mailroom)
        trouble = None
        with self._play(world, how) as play:
            try:
                way.acts(play)
                play.settle()
            except Stuck as error:
                trouble = str(error)
            except Exception:  # noqa: BLE001 - it is told with the result
                trouble = traceback.format_exc(limit=-3)
            owner = self._owner(way.coins)
            verdict = judge(
                [movement(tx, owner, play.direct) for tx in play.chain.since(height)],
                {party: play.state(party) for party in PEOPLE},
                may_release=way.may_release,
                may_stray=way.may_stray,
                beside=way.beside,
            )
            trouble = trouble or _still_held(play)
            if trouble is None and (way.always or not play.struck):
                trouble = _unexpected(way, verdict, play.state(Party.SENDER))
            if trouble is not None:
                verdict = Verdict(Ending.LOST, trouble)
            struck = play.struck or ("" if at else "nobody is killed")
        result = Result(task, at or 0, struck, verdict)
        bad = verdict.ending in (Ending.LOST, Ending.DOUBLED)
        if bad and self._keep is not None:
            name = f"{way.name} {task.party} {at} {task.twice}".replace(" ", "-").replace(":", "")
            shutil.rmtree(self._keep / name, ignore_errors=True)
            shutil.copytree(world, self._keep / name)
        shutil.rmtree(world)
        return result

    def _play(self, world: Path, how: How) -> Play:
        return Play(world, self._ports, self._clock, self._bodies, how)

    def _height(self, stand: Path) -> int:
        chain = run_chain(stand, self._ports)
        with closing(ChainView(self._ports.chain)) as view:
            height = view.height
        chain.end()
        return height

    def _base(self, coins: Coins) -> Path:
        """A chain, and two wallets with their coins; made once."""
        if coins not in self._bases:
            folder = self._folder / f"base {coins}"
            folder.mkdir()
            chain = run_chain(folder, self._ports)
            funds = {party: _FUNDS.get((coins, party), _USUAL[party]) for party in PEOPLE}
            if self._ports.node is not None:
                self._make_node_wallets(folder, coins, funds)
            else:
                for party in PEOPLE:
                    self._make_wallet(folder / party, coins, funds[party])
            chain.end()
            self._bases[coins] = folder
        return self._bases[coins]

    def _make_wallet(self, home: Path, coins: Coins, funds: tuple[int, ...]) -> None:
        url, kind = self._ports.chain_url, _KINDS.get(coins, ScriptType.P2WPKH)
        home.mkdir()

        def work() -> int:
            folder = home / "regtest" / "wallet"
            wallet = BdkWallet.create(folder, Network.REGTEST, server=url, kind=kind)
            for value in funds:
                remote_fund(url, str(wallet.new_address()), value)
            wallet.sync()
            return 0

        process = Process(work, home / "wallet.log")
        while process.code is None:
            pass
        if process.code != 0:
            raise Stuck("A wallet could not be made.")

    def _make_node_wallets(
        self, folder: Path, coins: Coins, funds: dict[Party, tuple[int, ...]]
    ) -> None:
        node, mirror = run_node(folder, self._ports)
        for party in PEOPLE:
            (folder / party).mkdir()
            make_wallet(folder / party, self._ports, coins, funds[party])
        mirror.end()
        end_node(folder, self._ports, node)

    def _owner(self, coins: Coins) -> Owner:
        if self._ports.node is not None:
            return owner_of(self._folder / "run", self._ports)
        return _owner(self._base(coins), self._ports.chain_url)


def _still_held(play: Play) -> str | None:
    """Whose coins are not given back, though the session is closed."""
    for party in PEOPLE:
        closed = isinstance(play.state(party), receiver.Closed | sender.Closed)
        if closed and held(play.database(party)):
            return f"the {party}'s session is closed and holds coins"
    return None


def _unexpected(way: Way, verdict: Verdict, state: State | None) -> str | None:
    """What is not as the path has it where nobody is killed, or whoever is."""
    if verdict.trouble is None and verdict.ending not in way.ends:
        return f"it ought to have ended otherwise than by {verdict.ending}"
    outcome = state.outcome if isinstance(state, sender.Closed) else None
    why = getattr(outcome, "why", None)
    if verdict.trouble is None and way.why not in (None, why):
        return f"the sender's reason was {why}"
    return verdict.trouble


@cache
def _owner(base: Path, url: str) -> Owner:
    wallets = {
        party: BdkWallet.open(base / party / "regtest" / "wallet", server=url) for party in PEOPLE
    }

    @cache
    def owner(script: Script) -> Party | None:
        return next((who for who, wallet in wallets.items() if wallet.owned([script])), None)

    return owner


def split(task: Task, parts: int) -> list[Task]:
    """The same kills as several tasks."""
    strides = task.stride * parts
    return [replace(task, first=task.first + i * task.stride, stride=strides) for i in range(parts)]


def scratch() -> Path:
    """A folder in memory if there is one: what counts here is death, not the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own within
    return Path(tempfile.mkdtemp(prefix="dovetail-kill-", dir=memory if memory.is_dir() else None))


def warm(folder: Path) -> None:
    """Import what a command imports once it runs: then every fork has it."""
    with SqliteStore.open(folder / "warm.db"):
        pass
    for name in ("receive", "send", "resume", "cancel", "release", "revoke"):
        import_module(f"dovetail.cli.commands.{name}")
        import_module(f"dovetail.cli.handlers.{name}")
    servers = ("httptools", "uvloop", "websockets", "uvicorn.protocols.http.httptools_impl")
    for name in (*servers, "anyio._backends._asyncio", "encodings.idna", "zoneinfo"):
        import_module(name)
