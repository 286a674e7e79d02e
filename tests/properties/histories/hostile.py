"""What the world does in a random history, to whomever it is about.

Each history ends with a calm: the store works, time passes, blocks come. Then the accounts must
be right.
"""

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.properties.histories.actor import GRACE, LIFETIME, START, Actor, SimulatedWorld
from tests.properties.histories.chain import Chain
from tests.properties.histories.ledger import require
from tests.properties.histories.servers import SERVERS
from tests.properties.histories.wire import FATES

RARELY = st.integers(0, 3)
"""What ends most histories is dared only at 0."""
SMALL = st.integers(0, 7)
FATE = st.sampled_from(("honest",) * len(FATES) + FATES)
JUMPS = (30, 30, 30, 60, 60, 600, 600, -60, -LIFETIME, LIFETIME - 1, LIFETIME, 3 * LIFETIME)
WORDS = ("cancel", "cancel", "release", "release", "request_fallback", "raise_fee")
CHANGES_OF_MIND = (
    "at once",
    "WantsFeeRange",
    "ProvisionalProposal",
    "PayjoinProposal",
    "PollingForProposal",
    "ProposalReceived",
)
IDLE_ROUNDS, CALM_ROUNDS = 9, 100
"""More than the deepest confirmation takes and than coins are waited for; any sound ending."""


class Histories(RuleBasedStateMachine):
    count: ClassVar[int] = 0
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.world = SimulatedWorld(Chain(1))
        self.actors: list[Actor] = []

    def actor(self, which: int) -> Actor:
        return self.actors[which % len(self.actors)]

    @initialize(server=st.sampled_from(tuple(SERVERS)))
    def somebody_is_asked(self, server: str) -> None:
        """Whichever chain server the parties have chosen."""
        self.world.chain.server = server

    # the parties

    @rule(which=SMALL, times=st.integers(1, 6))
    def go_on(self, which: int, times: int) -> None:
        for _ in range(times):
            self.actor(which).go_on()

    @rule(times=st.integers(1, 12))
    def all_go_on(self, times: int) -> None:
        for _ in range(times):
            for actor in self.actors:
                actor.go_on()

    @rule(which=SMALL, fate=FATE)
    def step(self, which: int, fate: str) -> None:
        self.actor(which).go_on(fate)

    @rule(which=SMALL, fault=st.sampled_from(("before", "after")), times=st.integers(1, 3))
    def step_while_the_store_fails(self, which: int, fault: str, times: int) -> None:
        for _ in range(times):
            self.actor(which).fault = fault
            self.actor(which).go_on()
        self.actor(which).fault = None

    @rule(which=SMALL)
    def restart(self, which: int) -> None:
        self.actor(which).restart()

    @rule(which=SMALL, handle=SMALL, choice=SMALL)
    def use_a_stale_handle(self, which: int, handle: int, choice: int) -> None:
        actor = self.actor(which)
        actor.use_stale(handle, choice, actor.moves)

    @rule(which=SMALL, word=st.sampled_from(WORDS))
    def the_user_decides(self, which: int, word: str) -> None:
        actor = self.actor(which)
        actor.hand = actor.state
        getattr(actor, word)()

    @rule(dares=RARELY, which=SMALL, at=st.sampled_from(CHANGES_OF_MIND), releases=st.booleans())
    def the_user_gives_up(self, dares: int, which: int, at: str, releases: bool) -> None:  # noqa: FBT001 - drawn by name
        if dares:
            return
        for _ in range(12):
            if at in (type(self.actor(which).state).__name__, "at once"):
                break
            self.actor(which).go_on()
        self.the_user_decides(which=which, word="cancel")
        if releases:
            self.the_user_decides(which=which, word="release")

    @rule(which=SMALL, handle=SMALL, times=st.integers(1, 2))
    def a_sleeper_wakes(self, which: int, handle: int, times: int) -> None:
        for _ in range(times):
            self.actor(which).go_on_stale(handle)

    # the wire

    @rule(which=SMALL)
    def ask_and_do_not_wait(self, which: int) -> None:
        actor = self.actor(which)
        actor.hand = actor.state
        actor.ask()

    @precondition(lambda self: self.world.wire.flights)
    @rule(flight=SMALL, fate=FATE)
    def an_answer_comes_late(self, flight: int, fate: str) -> None:
        flights = self.world.wire.flights
        chosen = flights[flight % len(flights)]
        body = self.world.wire.arrive(chosen, fate)
        for actor in self.actors:
            if body is not None and any(chosen.state is state for state in actor.states):
                actor.answer(chosen, body)

    @precondition(lambda self: self.world.wire.mailboxes)
    @rule(which=SMALL, how=st.sampled_from(("lose", "spoil", "swap")), at=st.integers(0, 7167))
    def the_directory_meddles(self, which: int, how: str, at: int) -> None:
        match how:
            case "lose":
                self.world.wire.lose_message(which)
            case "spoil":
                self.world.wire.spoil_message(which, at)
            case _:
                self.world.wire.swap_messages()

    # time and the chain

    @rule(jump=st.sampled_from(JUMPS))
    def the_clock_jumps(self, jump: int) -> None:
        self.world.now = max(START - LIFETIME, self.world.now + jump)

    @rule(only=st.none() | SMALL)
    def a_block_comes(self, only: int | None) -> None:
        mempool = self.world.chain.mempool
        self.world.chain.mine(only=None if only is None else only % max(1, len(mempool)))

    @precondition(lambda self: self.world.chain.blocks)
    @rule(forget=st.booleans())
    def a_block_gives_way(self, forget: bool) -> None:  # noqa: FBT001 - drawn by name
        self.world.chain.reorganise(forget=forget)

    @precondition(lambda self: self.world.chain.mempool)
    @rule(which=SMALL)
    def a_mempool_forgets(self, which: int) -> None:
        self.world.chain.evict(which)

    @rule()
    def the_source_hides_or_shows_its_mempool(self) -> None:
        self.world.chain.shows_mempool = not self.world.chain.shows_mempool

    @rule(server=st.sampled_from(tuple(SERVERS)), troubled=st.booleans())
    def another_server_answers(self, server: str, *, troubled: bool) -> None:
        """In words of its own; or whether a broadcast was taken is for the chain to show."""
        self.world.chain.server, self.world.chain.troubled = server, troubled

    # the end

    def teardown(self) -> None:
        type(self).count += 1
        if self.actors:
            self.calm_down()
        for actor in self.actors:
            type(self).steps += actor.steps
            actor.check_log()
            actor.check_paid()
        if self.actors:
            self.settle_accounts()

    def settle_accounts(self) -> None:
        """What the parties' ends have to do with each other."""

    def calm_down(self) -> None:
        """Nobody lies any more; everybody goes on until there is nothing left to do."""
        world = self.world
        world.chain.shows_mempool, world.chain.troubled = True, False
        world.chain.server = "Bitcoin Core"
        world.now = START + 20 * LIFETIME + GRACE
        idle = 0
        for _ in range(CALM_ROUNDS):
            if idle == IDLE_ROUNDS or all(actor.state.closed for actor in self.actors):
                return
            before = [actor.state.seq for actor in self.actors]
            for actor in self.actors:
                actor.settle()
                actor.go_on()
            world.chain.mine()
            world.now += GRACE
            idle = idle + 1 if before == [actor.state.seq for actor in self.actors] else 0
        require("M3", None, "the sessions go round in circles")
