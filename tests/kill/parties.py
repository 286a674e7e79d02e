"""The processes of one run: two parties who are killed and start again, a mailroom, a chain."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.kill.commands import Command
from tests.kill.ledger import ChainView, Party, State, entries, state_of
from tests.kill.nodes import run_node
from tests.kill.path import How, Stuck
from tests.kill.processes import Group, Process, RealProcess, SharedClock
from tests.kill.servers import Ports, run_chain, run_mailroom

from dovetail.regtest.node import RegtestNode
from dovetail.testing.kill import Killer, effects, struck

_TICK = 0.008
_PATIENCE = 40.0
PEOPLE = (Party.SENDER, Party.RECEIVER)


class Parties:
    """A world with two parties in it. A kill may come at any effect of the one it is meant for."""

    def __init__(
        self, folder: Path, ports: Ports, clock: SharedClock, bodies: Path, how: How
    ) -> None:
        self.folder, self.ports, self.clock, self.how = folder, ports, clock, how
        self.direct: set[str] = set()
        """What a wallet that knows of no session has paid, by txid."""
        self.struck: str | None = None
        """The effect at which the kill came; None: not yet."""
        self._bodies = bodies
        self._armed = how.kill is not None
        self._to_bury = 0
        """Blocks that are still missing on top of the last payment."""
        self._group = Group()
        self._resuming: dict[Party, tuple[str, ...]] = dict.fromkeys(PEOPLE, ("resume",))
        """How each party goes on."""
        self._running: dict[Party, list[Process | RealProcess]] = {each: [] for each in PEOPLE}
        self._begun: set[Party] = set()
        self._ended: set[Party] = set()
        """Whose `resume` has ended by itself, as all was done or a person was asked."""

    def __enter__(self) -> Self:
        self._start_chain()
        if self.ports.node is not None:
            try:
                for process in run_node(self.folder, self.ports):
                    self._group.add(process)
            except TimeoutError:
                self._group.__exit__()
                raise
        self.chain = ChainView(self.ports.chain)
        self._start_mailroom()
        return self

    def __exit__(self, *_: object) -> None:
        for party in PEOPLE:
            for process in self._running[party]:
                process.end()
        self._group.__exit__()
        self.chain.close()

    def home(self, party: Party) -> Path:
        return self.folder / party

    def database(self, party: Party) -> Path:
        return self.home(party) / "regtest" / "sessions.db"

    def state(self, party: Party) -> State | None:
        return state_of(party, self.database(party))

    def logged(self, party: Party, *tags: str) -> bool:
        """Whether the log has one of these entries, or is closed."""
        return bool({"Closed", *tags} & set(entries(self.database(party))[0]))

    def journal(self, party: Party) -> Path:
        return self.folder / f"{party}.journal"

    def begin(self, party: Party) -> None:
        """Let the party take its sessions forward; it is started again whenever it was killed."""
        self._ended.discard(party)
        self._begun.add(party)
        self._revive(party)

    def pause(self, party: Party) -> None:
        self._begun.discard(party)
        for process in self._running[party]:
            process.end()
        self._running[party] = []

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Let those who have begun go on until it is so."""
        deadline = time.monotonic() + _PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                states = {str(each): repr(self.state(each)) for each in PEOPLE}
                raise Stuck(f"waited in vain: {what}; {json.dumps(states)}")
            for party in self._begun:
                self._revive(party)
            if self._mailroom.code is not None:
                self._note_kill(Party.MAILROOM)
                self._start_mailroom()
            time.sleep(_TICK)

    def _last_words(self, party: Party) -> str:
        return (self.home(party) / "command.log").read_text()[-300:]

    def _command(self, party: Party, words: tuple[str, ...]) -> Command:
        settings = self.ports.settings(self.home(party), self.how.way.dialect)
        settings |= dict(self.how.way.settings.get(party, {}))
        settings["DOVETAIL_DEPTH"] = str(self.how.way.depth)
        return Command(
            words=words,
            home=self.home(party),
            settings=settings,
            clock=self.clock,
            bodies=self._bodies,
            tweaks=self.how.way.tweaks.get(party, ()),
        )

    def _start(self, party: Party, words: tuple[str, ...], *, armed: bool = True) -> Process:
        killer = self._killer(party) if armed else Killer(self.journal(party))
        return self._group.add(self._command(party, words).start(killer))

    def _killer(self, party: Party) -> Killer:
        kill = self.how.kill
        journal = self.journal(party)
        if not self._armed or kill is None or kill.party is not party:
            return Killer(journal)
        left = kill.at - len(effects(journal))
        return Killer(journal, at=left if left > 0 else None)

    def _revive(self, party: Party) -> None:
        """Start the party where it was killed, or is not there yet; never where it has ended."""
        alive = []
        for process in self._running[party]:
            if process.code is None:
                alive.append(process)
            elif process.code == -9:
                self._note_kill(party)
            else:
                self._ended.add(party)
        while party not in self._ended and len(alive) < (2 if self.how.twice else 1):
            alive.append(self._resume(party, armed=not alive))
        self._running[party] = alive

    def _resume(self, party: Party, *, armed: bool) -> Process | RealProcess:
        if self.how.real and self.struck is not None:
            settings = self._command(party, ()).settings
            return RealProcess(self._resuming[party], self.home(party), settings)
        return self._start(party, self._resuming[party], armed=armed)

    def _note_kill(self, party: Party) -> None:
        self._armed = False
        self.struck = struck(self.journal(party)) or self.struck

    def _start_mailroom(self) -> None:
        self._mailroom = self._group.add(
            run_mailroom(self.folder, self.ports, self._killer(Party.MAILROOM), self.how.mailroom)
        )

    def _start_chain(self) -> None:
        self._chain = self._group.add(run_chain(self.folder, self.ports, self.how.way.dialect))

    def _forget_the_tip(self) -> None:
        """A longer branch takes the place of the last block, whose transactions are forgotten."""
        home = self.folder / "chain"

        def work() -> int:
            with RegtestNode(home) as node:
                node.reorg(1)
            (home / "mempool.txt").unlink()
            return 0

        process = self._group.add(Process(work, self.folder / "chain.log"))
        self.until(lambda: process.code is not None, "for the other branch")
        if process.code != 0:
            raise Stuck("The chain could not be reorganised.")
        self._to_bury = 0
