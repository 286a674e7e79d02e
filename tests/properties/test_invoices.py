"""Random lives of an invoice: payments, replacements, reorganisations, the clock, and marks."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from tests.merchant.builders import (
    AMOUNT,
    COLD,
    CREATED,
    EXPIRES,
    MONITORED,
    OURS,
    coin,
    invoice,
    negotiated,
    own,
    pay,
    pinned,
    signed,
)
from tests.protocol.builders import CHANGE, PAYEE

from dovetail.bitcoin import OutPoint, Transaction, Txid, UnixTime
from dovetail.merchant.invoices import changes, credit, life, payments
from dovetail.merchant.invoices.changes import change_between
from dovetail.merchant.invoices.invoice import InvoiceStatus, Mark
from dovetail.merchant.invoices.life import Cause, InvoiceState, state_of
from dovetail.merchant.invoices.negotiation import Pin
from dovetail.merchant.invoices.payments import Found, Look, Payments, PaymentTransaction

pytestmark = pytest.mark.property

SETTLED = InvoiceStatus.SETTLED
OF_THE_CHAIN = {Cause.REORGANISED, Cause.MARKED_INVALID}
OF_THE_MEMPOOL = {Cause.REPLACED, Cause.GONE}
JOINED, FELL_BACK, PAYJOIN = pinned(1, ours=90, fee=300, at=10)
COLD_JOINED, COLD_FELL_BACK, COLD_PAYJOIN = pinned(2, ours=90, to=COLD, at=20)
LATE_JOINED, LATE_FELL_BACK, LATE_PAYJOIN = pinned(3, ours=91, at=EXPIRES - CREATED + 5)
UNPINNED = negotiated(pay(4), at=30)
NEGOTIATIONS = JOINED, COLD_JOINED, LATE_JOINED, UNPINNED
PAYJOINS = {signed(each).txid for each in (PAYJOIN, COLD_PAYJOIN, LATE_PAYJOIN)}
FEES = {signed(PAYJOIN).txid: 300}
TRANSACTIONS = tuple(
    signed(each)
    for each in (
        PAYJOIN,
        FELL_BACK,
        COLD_PAYJOIN,
        COLD_FELL_BACK,
        LATE_PAYJOIN,
        LATE_FELL_BACK,
        pay(4),
        *(pay(number, change=9) for number in range(1, 6)),
        *(pay(number, value=value) for number in (1, 4, 5, 6) for value in (20_000, 30_000)),
        pay(5, value=AMOUNT + 7_000),
        *(pay(number, to=CHANGE) for number in (1, 4, 5)),
        pay(6, to=COLD),
        pay(1, 5),
        pay(5, 6),
        pay(own(90), value=OURS - 400),
        pay(6, own(91), value=OURS + 900),
    )
)


class Life(RuleBasedStateMachine):
    """One invoice, and a chain on which its customers do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.mempool: list[Transaction] = []
        self.blocks: list[list[Transaction]] = []
        self.now = CREATED
        self.looks: list[Look] = []
        self.marks: list[Mark] = []
        self.payments = Payments()
        self.state: InvoiceState | None = None
        self.known: set[Txid] = set()

    @initialize(
        depth=st.integers(0, 3),
        tolerance=st.sampled_from([0, 500]),
        broadcasts=st.booleans(),
        at=st.sampled_from([CREATED, UnixTime(EXPIRES - 1), EXPIRES]),
    )
    def create(self, depth: int, tolerance: int, at: UnixTime, *, broadcasts: bool) -> None:
        self.now = at
        self.terms = invoice(depth=depth, tolerance=tolerance, broadcasts_fallback=broadcasts)
        self.tell()

    @rule(transaction=st.sampled_from(TRANSACTIONS), at_once=st.booleans())
    def send(self, transaction: Transaction, *, at_once: bool) -> None:
        """Full RBF: what is in no block may be replaced; a miner may take what it never showed."""
        confirmed = {each for block in self.blocks for one in block for each in one.contested()}
        if not confirmed.isdisjoint(transaction.contested()):
            return
        spent = set(transaction.contested())
        self.mempool = [each for each in self.mempool if spent.isdisjoint(each.contested())]
        if at_once:
            self.blocks.append([transaction])
        else:
            self.mempool.append(transaction)

    @rule()
    def mine(self) -> None:
        self.blocks.append(self.mempool)
        self.mempool = []

    @precondition(lambda self: self.blocks)
    @rule(count=st.integers(1, 3), back=st.booleans())
    def reorganise(self, count: int, *, back: bool) -> None:
        removed = [each for block in self.blocks[-count:] for each in block]
        del self.blocks[-count:]
        if back:
            spent = {outpoint for each in removed for outpoint in each.contested()}
            kept = [each for each in self.mempool if spent.isdisjoint(each.contested())]
            self.mempool = removed + kept

    @precondition(lambda self: self.mempool)
    @rule(place=st.integers(0, 9))
    def drop(self, place: int) -> None:
        del self.mempool[place % len(self.mempool)]

    @rule(seconds=st.sampled_from([1, 100, 900, 5_000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now = UnixTime(self.now + seconds)
        self.tell()

    @rule()
    def look(self) -> None:
        height = len(self.blocks)
        found = [Found(each, 0) for each in self.mempool]
        found += [
            Found(each, height - place) for place, block in enumerate(self.blocks) for each in block
        ]
        look = Look(len(self.looks) + 1, self.now, tuple(found))
        self.looks.append(look)
        self.payments = self.payments.after(look)
        self.known |= {each.transaction.txid for each in found}
        self.tell()

    @precondition(lambda self: len(self.looks) > 6 and not self.marks)
    @rule(settled=st.booleans())
    def decide(self, *, settled: bool) -> None:
        number = len(self.marks) + 1
        self.marks.append(Mark(number=number, settled=settled, by="alice", at=self.now))
        self.tell()

    def tell(self) -> None:
        """The invoice is looked at anew, and each rule held against the chain that was seen."""
        after = state_of(self.terms, self.payments, NEGOTIATIONS, self.marks, now=self.now)
        self.check_credit(after)
        self.check_status(after)
        self.check_fallback(after)
        self.check_change(self.state, after)
        self.state = after

    @property
    def shown(self) -> tuple[Found, ...]:
        return self.looks[-1].found if self.looks else ()

    def check_credit(self, state: InvoiceState) -> None:
        assert state.credit.gained == sum(gain(each.transaction) for each in self.shown)
        spent = Counter(
            outpoint
            for each in state.counted
            for outpoint in self.payments.seen[each.txid].transaction.contested()
        )
        assert not spent or max(spent.values()) == 1
        recorded = [each.txid for one in state.payments for each in one.transactions]
        assert sorted(recorded) == sorted(self.known)

    def check_status(self, state: InvoiceState) -> None:
        if self.marks:
            assert state.status is self.marks[-1].status
            return
        came = [each for each in self.shown if self.came_in_time(each.transaction)]
        paid, deep = (
            sum(
                gain(each.transaction) + FEES.get(each.transaction.txid, 0)
                for each in came
                if each.depth >= depth
            )
            for depth in (0, self.terms.depth)
        )
        assert (state.credit.paid, state.credit.confirmed) == (paid, deep)
        assert (state.status is SETTLED) == (deep >= self.terms.enough)
        if state.status in {"new", "expired"}:
            assert paid < self.terms.enough
            assert (state.status == "expired") == (self.now >= EXPIRES)
        if state.status == "invalid":
            assert self.now >= MONITORED
        if state.status == "processing":
            assert self.now < MONITORED
            assert paid >= self.terms.enough or state.fallback_due is not None

    def came_in_time(self, transaction: Transaction) -> bool:
        """As the customers see it: what they handed over, sent, or replaced by no more."""
        value = gain(transaction) + FEES.get(transaction.txid, 0)
        return any(
            self.handed_over(each.transaction) < EXPIRES
            and gain(each.transaction) + FEES.get(each.transaction.txid, 0) >= value
            for look in self.looks
            for each in look.found
            if each.transaction == transaction or theirs(each.transaction) & theirs(transaction)
        )

    def handed_over(self, transaction: Transaction) -> int:
        first = min(
            look.at
            for look in self.looks
            if any(each.transaction == transaction for each in look.found)
        )
        told = {
            signed(PAYJOIN).txid: 10,
            signed(FELL_BACK).txid: 10,
            signed(COLD_PAYJOIN).txid: 20,
            signed(COLD_FELL_BACK).txid: 20,
            signed(LATE_PAYJOIN).txid: EXPIRES - CREATED + 5,
            signed(LATE_FELL_BACK).txid: EXPIRES - CREATED + 5,
            signed(pay(4)).txid: 30,
        }
        return min(first, CREATED + told.get(transaction.txid, 10**9))

    def check_fallback(self, state: InvoiceState) -> None:
        due = state.fallback_due
        if due is None:
            return
        assert self.terms.broadcasts_fallback
        assert EXPIRES <= self.now < MONITORED
        assert due.received_at < EXPIRES
        assert state.credit.total < self.terms.enough
        spent = {outpoint for each in self.shown for outpoint in each.transaction.contested()}
        assert spent.isdisjoint(due.coins)

    def check_change(self, before: InvoiceState | None, after: InvoiceState) -> None:
        change = change_between(before, after)
        if before is None or before.words != after.words or before.credit != after.credit:
            assert change is not None
        if change is None or before is None:
            return
        if before.status is not SETTLED:
            less = after.credit.gained < before.credit.gained and after.status is not SETTLED
            assert not less or change.cause in OF_THE_CHAIN | OF_THE_MEMPOOL
        elif after.status is not SETTLED:
            unsure = self.terms.depth == 0
            assert change.cause in (OF_THE_CHAIN | OF_THE_MEMPOOL if unsure else OF_THE_CHAIN)

    @precondition(lambda self: self.looks)
    @rule(data=st.data())
    def shuffle(self, data: st.DataObject) -> None:
        """All that is recorded comes in another order, some of it twice."""
        twice = data.draw(st.lists(st.sampled_from(self.looks), max_size=3))
        looks = data.draw(st.permutations([*self.looks, *twice]))
        negotiations = data.draw(st.permutations(NEGOTIATIONS))
        marks = data.draw(st.permutations(self.marks))
        shuffled = Payments()
        for each in looks:
            shuffled = shuffled.after(each)
        assert state_of(self.terms, shuffled, negotiations, marks, now=self.now) == state_of(
            self.terms, self.payments, NEGOTIATIONS, self.marks, now=self.now
        )


def theirs(transaction: Transaction) -> set[OutPoint]:
    return set(transaction.contested()) & {coin(number) for number in range(1, 7)}


def gain(transaction: Transaction) -> int:
    """What the shop has more by a transaction, as its wallet would tell."""
    scripts = {PAYEE, COLD} if transaction.txid in PAYJOINS else {PAYEE}
    came = sum(int(each.value) for each in transaction.outputs if each.script_pubkey in scripts)
    spent = sum(outpoint in {own(90), own(91)} for outpoint in transaction.contested())
    return max(0, came - OURS * spent)


def histories(count: int) -> None:
    checks = settings(
        max_examples=count,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        print_blob=False,
    )
    run(Life, settings=checks)


def test_every_rule_holds_in_every_life() -> None:
    histories(100)


def counts_late_money(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payments._Judge, "_is_in_time", lambda *_: True)


def subtracts_no_coin_of_ours(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(credit, "contributed", lambda _: {})


def believes_no_pin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pin, "is_met_by", lambda *_: False)


def forgets_fees(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PaymentTransaction, "value", property(lambda self: self.gain))


def settles_at_sight(patch: pytest.MonkeyPatch) -> None:
    def hasty(counted, *, depth):
        return real(counted, depth=0)

    real = life.Credit.of
    patch.setattr(life.Credit, "of", hasty)


def counts_what_is_gone(patch: pytest.MonkeyPatch) -> None:
    def all_of_it(_self, known, _worths):
        return frozenset(each.transaction.txid for each in known)

    patch.setattr(Payments, "_standing", all_of_it)


def takes_the_last_that_came(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payments.Seen, "merged", lambda self, _: self)


def pays_beside_a_payment(patch: pytest.MonkeyPatch) -> None:
    def careless(terms, _credit, waiting, now):
        return waiting if now >= terms.expires_at else ()

    patch.setattr(life, "_in_hand", careless)


def names_no_loss(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "_loss", lambda *_: None)


@pytest.mark.parametrize(
    "breaks",
    [
        counts_late_money,
        subtracts_no_coin_of_ours,
        believes_no_pin,
        forgets_fees,
        settles_at_sight,
        counts_what_is_gone,
        takes_the_last_that_came,
        pays_beside_a_payment,
        names_no_loss,
    ],
)
def test_a_broken_rule_is_found(
    breaks: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        histories(100)
