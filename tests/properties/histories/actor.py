"""A party with one session, and what M1, M2 and M5 say about every step that it takes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from tests.properties.histories.chain import Chain
from tests.properties.histories.ledger import require
from tests.properties.histories.people import ALICE, BOB, MALLORY
from tests.properties.histories.wire import RELAY, Flight, Wire

from dovetail.bitcoin.units import UnixTime
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import DovetailError, StaleSession, StoreUnavailable
from dovetail.sessions.transition import Transition
from dovetail.stores.memory import MemoryStore
from dovetail.testing.faults import Crash

START = UnixTime(1_800_000_000)
LIFETIME = 3_600
GRACE = 600
Move = Callable[[], Transition[Any, Any]]
Tries = Mapping[str, Callable[[Any], Transition[Any, Any]]]

_PEOPLE = (ALICE, BOB, MALLORY)
PRIVATE = (
    *(str(person.address(index)) for person in _PEOPLE for index in range(8)),
    *(person.script(index).hex() for person in _PEOPLE for index in range(8)),
    *(person.key(index).reveal().hex() for person in _PEOPLE for index in range(8)),
    "cHNidP",
    "bitcoin:",
    "BITCOIN:",
    "RK1",
)
"""What P4 keeps out of every repr and error message."""


@dataclass
class SimulatedWorld:
    """What everybody shares: time, chain, wire, and each side's store."""

    chain: Chain
    now: int = START
    entropy: SeededEntropy = field(default_factory=lambda: SeededEntropy(b"histories"))
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self.entropy)

    @property
    def time(self) -> UnixTime:
        return UnixTime(self.now)


class Nowhere:
    """A log that keeps nothing: to decide, and leave it at that."""

    def append(self, _event: Any, /, *, seq: int, closes: bool) -> None:
        """Keep nothing."""


@dataclass
class FaultyLog:
    """The party's real log; told to, it fails before it wrote, or the power goes after."""

    log: Any
    fault: str | None

    def append(self, event: Any, /, *, seq: int, closes: bool) -> None:
        if self.fault == "before":
            raise StoreUnavailable("The disk is full; free some space and try again.")
        self.log.append(event, seq=seq, closes=closes)
        if self.fault == "after":
            raise Crash


class Actor(ABC):
    """One session, its live handle and all handles it ever had."""

    role: Any
    """`dovetail.sessions.sender` or `dovetail.sessions.receiver`."""
    tries: ClassVar[Tries]
    """Every move that a handle may offer, by its name, with arguments for it."""

    def __init__(self, world: SimulatedWorld, store: MemoryStore, log: Any, created: Any) -> None:
        self.world = world
        self.store = store
        self.fault: str | None = None
        self.log = log
        self.states: list[Any] = [created.save(log)]
        self.hand = self.states[0]
        self.entries: tuple[bytes, ...] = self._stored()[0]
        self.requested = False
        self.steps = 0

    @property
    def state(self) -> Any:
        return self.states[-1]

    @property
    def tags(self) -> list[str]:
        return [type(self.role.decode_event(entry)).__name__ for entry in self.entries]

    @property
    def released(self) -> bool:
        """Whether the user's last word in the log was to decline."""
        said = "Released", "FallbackRequested", "SpendDropped"
        words = [tag for tag in self.tags if tag in said]
        return words[-1:] == ["Released"] or self.declined

    @property
    @abstractmethod
    def declined(self) -> bool:
        """Whether the end of the session was the user's word."""

    def save(self, transition: Transition[Any, Any]) -> bool:
        """Save from the newest handle; after a fault go on from what the log says.

        Whether the process that saved lives on, in the next state.
        """
        before, expected = self.state, transition._next
        stasis = transition._event is None
        fault, self.fault = self.fault, None
        state = before
        try:
            state = transition.save(FaultyLog(self.log, fault))
        except StoreUnavailable:
            self._record(before, grown=False)
            self.restart()
            return False
        except Crash:
            self._record(expected, grown=not stasis)
            self.restart()
            return False
        except StaleSession:
            require("M5", False, "the newest handle was taken for a stale one")
        require("M2", state is expected, "a save handed over another state")
        self._record(state, grown=not stasis)
        private(repr(state))
        return True

    def attempt(self, move: Move) -> bool:
        """Decide and save; a move that is refused leaves everything as it was."""
        try:
            transition = move()
        except DovetailError as error:
            private(str(error))
            self._record(self.state, grown=False)
            return False
        if self.hand.seq < self.state.seq:
            self._must_be_stale(transition)
            return False
        self.steps += 1
        saved = self.save(transition)
        self.hand = self.state
        return saved

    def go_on(self, fate: str = "honest") -> None:
        """Take the next step from the newest handle."""
        self.hand = self.state
        self.step(fate)

    def go_on_stale(self, which: int) -> None:
        """A process that was asleep takes its next step, with all that it does to the world."""
        self.hand = self.states[which % len(self.states)]
        self.step()
        self.hand = self.state

    def restart(self) -> None:
        """Forget the handle and read the log, as a new process does."""
        replayed = self.role.replay(self.log.load())
        require("M2", replayed == self.state, "a restart found another state")
        self.states[-1] = self.hand = replayed

    def use_stale(self, which: int, choice: int, moves: Callable[[Any], list[Move]]) -> None:
        """Take an old handle out of the drawer and try to go on with it."""
        handle = self.states[which % len(self.states)]
        if handle.seq == self.state.seq:
            return
        possible = moves(handle)
        if not possible:
            return
        try:
            transition = possible[choice % len(possible)]()
        except DovetailError:
            return
        self._must_be_stale(transition)

    def answer(self, flight: Flight, body: bytes) -> None:
        """Read what came back, with the handle that asked."""
        handle = flight.state
        if handle.seq == self.state.seq:
            self.hand = self.state
            self.attempt(lambda: self.read(handle, body, flight.context))
            return
        try:
            transition = self.read(handle, body, flight.context)
        except DovetailError as error:
            private(str(error))
            return
        self._must_be_stale(transition)

    def exchange(self, fate: str = "honest") -> None:
        """Ask the directory and wait for the answer."""
        flight = self.ask()
        if flight is not None:
            body = self.world.wire.arrive(flight, fate)
            if body is not None:
                self.answer(flight, body)

    def ask(self) -> Flight | None:
        """Let a request go, if this state asks for one."""
        state = self.hand
        make = getattr(state, "poll", None) or getattr(state, "post", None)
        make = make or getattr(state, "reply", None)
        if make is None or self.world.now >= state.expires_at:
            return None
        request, context = make(RELAY, now=self.world.time, entropy=self.world.entropy)
        return self.world.wire.send(state, request, context)

    @abstractmethod
    def read(self, handle: Any, body: bytes, context: Any) -> Transition[Any, Any]:
        """What an answer leads to."""

    def notes_coins(self, state: Any, missing: int | None) -> bool:
        """Whether a look at the coins was news; then that alone is recorded in this step."""
        if missing is None and state.coins.missed_at is None:
            return False
        gone, height = missing is not None, missing or self.world.chain.height()
        if not state.coins.is_news(missing=gone, height=height):
            return False
        self.attempt(lambda: state.record_coins(missing=gone, height=height))
        return True

    @abstractmethod
    def step(self, fate: str = "honest") -> None:
        """What a careful caller does next with the handle in hand."""

    def moves(self, handle: Any) -> list[Move]:
        """Everything a handle offers, sensible or not."""
        return [partial(move, handle) for name, move in self.tries.items() if hasattr(handle, name)]

    @abstractmethod
    def words(self, state: Any) -> list[Move]:
        """What each of the user's commands decides at a state."""

    @abstractmethod
    def raise_fee(self) -> None:
        """The user's word to pay more for the ordinary payment, where it is theirs to raise."""

    @abstractmethod
    def settle(self) -> None:
        """The user's last word, where one is wanted."""

    @abstractmethod
    def check_paid(self) -> None:
        """M3 and M4, once the world has calmed down."""

    def check_log(self) -> None:
        """Hold the finished log against every state that was live (M2)."""
        for count, live in enumerate(self.states, start=1):
            events = map(self.role.decode_event, self.entries[:count])
            require("M2", self.role.replay(events) == live, "replay and life differ")

    def _must_be_stale(self, transition: Transition[Any, Any]) -> None:
        self.steps += 1
        if transition._event is None:
            transition.save(self.log)
            self._record(self.state, grown=False)
            return
        try:
            transition.save(self.log)
        except StaleSession as error:
            private(str(error))
            self._record(self.state, grown=False)
            return
        require("M5", False, "a stale handle could append")

    def _record(self, state: Any, *, grown: bool) -> None:
        raw, closed = self._stored()
        require("M1", raw[: len(self.entries)] == self.entries, "an entry of the log changed")
        require("M1", len(raw) == len(self.entries) + grown, "the log grew by another number")
        require("M1", not (grown and self.state.closed), "a closed log grew")
        require("M1", closed is state.closed, "closing was another write")
        require("M5", state.seq == len(raw), "a handle's seq is not the number of events")
        if grown:
            self.entries = raw
            self.states.append(state)
            self.moved()
            self.check_commands()

    def check_commands(self) -> None:
        """Nobody is left in a corner: of the user's words at least one is heard."""
        state = self.state
        able = state.closed or any(map(_is_heard, self.words(state)))
        require("command", able, f"no command does anything at {type(state).__name__}")

    def _stored(self) -> tuple[tuple[bytes, ...], bool]:
        """The log as it lies in the store, and whether it is closed."""
        stored = self.store.stored(self.log.session_id)
        return tuple(entry.data for entry in stored.events), stored.row.closed_at is not None

    @abstractmethod
    def moved(self) -> None:
        """Look at what the newest event did."""


def _is_heard(move: Move) -> bool:
    try:
        move().save(Nowhere())
    except DovetailError:
        return False
    return True


def private(text: str) -> None:
    """P4: neither repr nor error message gives anything away."""
    require("P4", not any(secret in text for secret in PRIVATE), "a text tells too much")
