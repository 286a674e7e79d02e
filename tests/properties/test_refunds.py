"""Random histories of refunds: claims, decisions, signatures, reorganisations, and other spends.

The database is real; signer and network are the few words that they are here, so that a thousand
steps take seconds. No history pays more than came, or pays two transactions for one refund.
"""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from tests.merchant import builders
from tests.merchant.refunds import add_store, credited, parts_of, see
from tests.merchant.signer.deals import hot_secret
from tests.support.clock import Clock
from tests.support.keys import Keys

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Transaction, TxOut
from dovetail.bitcoin.transaction import TxIn
from dovetail.errors import UsageError, WalletError
from dovetail.merchant.data import coins, refund_payments, refunds
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.refund_payments import PaymentRow
from dovetail.merchant.invoices import refunds as rules
from dovetail.merchant.invoices.refunds import NOTHING_PAID, RefundRefused, RefundStatus, Taken
from dovetail.merchant.services import refund_payments as engine
from dovetail.merchant.services.refund_payments import PATIENCE, RefundPayments
from dovetail.merchant.services.refunds import Refunds
from dovetail.wallets.bdk.keys import public
from dovetail.wallets.ports import Accepted, Refused, Spend

pytestmark = pytest.mark.property

HOT = public(hot_secret())[0]
CUSTOMERS = [str(Keys("customer").address(n)) for n in range(1, 4)]
PAID = builders.AMOUNT + 30_000


class Network:
    """A chain that knows spends alone; full RBF, and blocks that may leave it."""

    def __init__(self) -> None:
        self.mempool: list[Transaction] = []
        self.blocks: list[list[Transaction]] = []
        self.rate = FeeRate.from_sat_per_vb(2)

    def fee_rate(self, *, target: int) -> FeeRate:  # noqa: ARG002 - as `Chain` has it
        return self.rate

    def height(self) -> int:
        return 100 + len(self.blocks)

    def spends_of(self, outpoints: Any) -> dict[OutPoint, Spend]:
        found = {}
        for outpoint in outpoints:
            for depth, place in self._places():
                for each in place:
                    if outpoint in each.contested():
                        found[outpoint] = Spend(transaction=each, depth=depth)
        return found

    def broadcast(self, transaction: Transaction) -> Accepted | Refused:
        spends = self.spends_of(transaction.contested()).values()
        if any(spend.depth for spend in spends):
            known = any(spend.transaction == transaction for spend in spends)
            return Accepted() if known else Refused("spent")
        ours = set(transaction.contested())
        self.mempool = [each for each in self.mempool if ours.isdisjoint(each.contested())]
        self.mempool.append(transaction)
        return Accepted()

    def confirmed(self) -> list[Transaction]:
        return [each for block in self.blocks for each in block]

    def _places(self) -> list[tuple[int, list[Transaction]]]:
        height = len(self.blocks)
        return [(0, self.mempool), *((height - n, block) for n, block in enumerate(self.blocks))]


class Queue:
    """A signer's queue: the first payment of a name counts, and only approved ones are signed."""

    def __init__(self) -> None:
        self.known: dict[str, Psbt] = {}
        self.approved: set[str] = set()
        self.withdrawn: set[str] = set()

    def holders(self, _: Any) -> dict[OutPoint, str]:
        return {}

    def queue(self, name: str, psbt: Psbt, *, replaces: str | None = None, **_: Any) -> None:
        if self.known.setdefault(name, psbt) != psbt:
            raise WalletError("Another payment of this id is queued.")
        if replaces is not None:
            assert replaces in self.approved
            self.approved.add(name)

    def queued(self, name: str) -> Any:
        if name in self.withdrawn:
            raise WalletError("It was withdrawn.")
        if name not in self.approved:
            return None
        return SimpleNamespace(extract=lambda: self.known[name].unsigned_transaction)

    def withdraw(self, name: str) -> None:
        self.withdrawn.add(name)


class Histories(RuleBasedStateMachine):
    """One invoice to which 80,000 sats came, and its refunds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.clock.now = builders.CREATED
        self.database = Database.open(Path(self.folder.name) / "shop.db", clock=self.clock)
        self.network, self.signer = Network(), Queue()
        self.store = add_store(self.database, HOT)
        self.invoice = credited(self.database, self.store, HOT, PAID)
        self.parts = parts_of(self.database, self.network, self.signer, self.clock)  # type: ignore[arg-type]
        self.service, self.engine = Refunds(self.database), RefundPayments(self.parts)
        self.links: list[str] = []
        self.raws: dict[tuple[Any, int], Transaction] = {}
        self.deposits = 0
        for value in (60_000, 61_000, 62_000):
            self.deposit(value)

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def rows(self) -> tuple[refunds.RefundRow, ...]:
        return self.database.read(lambda c: refunds.refunds_of(c, self.invoice.id))

    @rule(amount=st.sampled_from([None, 600, 20_000, 45_000, PAID]))
    def create(self, amount: int | None) -> None:
        wanted = None if amount is None else Sats(amount)
        with suppress(RefundRefused):
            _, token = asyncio.run(
                self.service.create(self.invoice.id, by="x", amount=wanted, expires_in=3600)
            )
            self.links.append(token)

    @precondition(lambda self: self.links)
    @rule(which=st.integers(0, 9), address=st.sampled_from(CUSTOMERS))
    def claim(self, which: int, address: str) -> None:
        with suppress(RefundRefused):
            token = self.links[which % len(self.links)]
            asyncio.run(self.service.give_address(token, address))

    @precondition(lambda self: self.links)
    @rule(
        which=st.integers(0, 9), word=st.sampled_from(["approve", "approve", "decline", "cancel"])
    )
    def decide(self, which: int, word: str) -> None:
        rows = self.rows()
        with suppress(UsageError):
            getattr(self.service, word)(rows[which % len(rows)].id, by="x")

    @rule(which=st.integers(0, 9))
    def sign(self, which: int) -> None:
        waiting = sorted(set(self.signer.known) - self.signer.approved - self.signer.withdrawn)
        if waiting:
            self.signer.approved.add(waiting[which % len(waiting)])

    @rule(value=st.sampled_from([21_000, 60_000]))
    def deposit(self, value: int) -> None:
        self.deposits += 1
        wallet = self.parts.wallet(self.store.wallet_id)
        output = TxOut(Sats(value), wallet.new_address().script_pubkey)
        spent = TxIn(builders.coin(1_000_000 + self.deposits))
        paid = Transaction(2, (spent,), (output,), 0)
        self.database.write(lambda c: coins.see_outputs(c, self.store.wallet_id, paid, 100))

    @rule(rounds=st.integers(1, 3))
    def work(self, rounds: int) -> None:
        for _ in range(rounds):
            self.engine.work()

    @rule(amount=st.sampled_from([5_000, 20_000]), address=st.sampled_from(CUSTOMERS))
    def hurry(self, amount: int, address: str) -> None:
        """A refund goes all the way to its signature."""
        self.create(amount)
        if self.links:
            self.claim(len(self.links) - 1, address)
            self.decide(len(self.links) - 1, "approve")
            self.work(2)
            self.sign(0)
            self.work(1)

    @rule(number=st.integers(0, 9))
    def work_late(self, number: int) -> None:
        """A worker that has read the rows before others moved them."""
        rows = self.rows()
        self.engine.work()
        if rows:
            with suppress(UsageError, WalletError, engine._Troubled):
                self.engine.advance(rows[number % len(rows)])

    @rule(count=st.integers(1, 6))
    def mine(self, count: int) -> None:
        self.network.blocks.append(self.network.mempool)
        self.network.mempool = []
        self.network.blocks += [[] for _ in range(count - 1)]

    @precondition(lambda self: self.network.blocks)
    @rule(count=st.integers(1, 3), back=st.booleans())
    def reorganise(self, count: int, *, back: bool) -> None:
        removed = [each for block in self.network.blocks[-count:] for each in block]
        del self.network.blocks[-count:]
        self.network.mempool = removed if back else []

    @rule(rate=st.sampled_from([2, 9, 30]))
    def wait(self, rate: int) -> None:
        self.clock.now += PATIENCE
        self.network.rate = FeeRate.from_sat_per_vb(rate)

    @rule(depth=st.integers(0, 2))
    def look(self, depth: int) -> None:
        """The invoice's own payment is there at this depth, or has gone."""
        script = self.invoice.script
        paid = builders.pay(77, to=script, value=PAID)
        see(self.database, self.invoice, *([paid] if depth else []), depth=depth)

    @invariant()
    def no_more_is_refunded_than_came(self) -> None:
        taken = [Taken(row.status, row.amount) for row in self.rows()]
        assert sum(int(each.amount) for each in taken if each.status not in NOTHING_PAID) <= PAID

    def payments(self, row: refunds.RefundRow) -> tuple[PaymentRow, ...]:
        return self.database.read(lambda c: refund_payments.payments_of(c, row.id))

    @invariant()
    def one_transaction_pays_a_refund_and_its_recipient_never_changes(self) -> None:
        confirmed = self.network.confirmed()
        for row in self.rows():
            sent = self.payments(row)
            signed = [each.raw for each in sent if each.raw is not None]
            assert len([each for each in confirmed if each in signed]) <= 1
            assert len({frozenset(each.contested()) for each in signed}) <= 1
            for each in sent:
                known = self.raws.setdefault((row.id, each.number), each.psbt.unsigned_transaction)
                assert known == each.psbt.unsigned_transaction
                assert row.amount in [output.value for output in known.outputs]
            if row.status in NOTHING_PAID:
                assert row.status is RefundStatus.FAILED or not signed

    @invariant()
    def coins_are_held_by_one_refund(self) -> None:
        spending: dict[OutPoint, Any] = {}
        for row in self.rows():
            if row.status in (RefundStatus.QUEUED, RefundStatus.PAYING):
                for each in self.payments(row):
                    for outpoint in each.psbt.unsigned_transaction.contested():
                        assert spending.setdefault(outpoint, row.id) == row.id


def histories(count: int, *, derandomize: bool = False) -> None:
    run(
        Histories,
        settings=settings(
            max_examples=count,
            stateful_step_count=30,
            deadline=None,
            derandomize=derandomize,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_history_pays_too_much_or_twice() -> None:
    histories(12)


def counts_only_what_is_paid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Taken, "counts", property(lambda self: self.status is RefundStatus.PAID))


def calls_off_what_is_signed(patch: pytest.MonkeyPatch) -> None:
    cancel = rules.RefundStep.CANCEL
    move = rules.TRANSITIONS[cancel]
    wider = move._replace(sources=move.sources | {RefundStatus.PAYING})
    patch.setattr(rules, "TRANSITIONS", {**rules.TRANSITIONS, cancel: wider})


def holds_no_coins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(refund_payments, "hold_coins", lambda *_: None)


@pytest.mark.parametrize(
    "breaks", [counts_only_what_is_paid, calls_off_what_is_signed, holds_no_coins]
)
def test_a_broken_rule_is_found(
    breaks: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        histories(200, derandomize=True)  # the same ones each time, until one finds it
