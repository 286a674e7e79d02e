"""Hundreds of random histories, and proof that a broken rule would be found in them."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.properties.histories.ledger import INVARIANTS, RULES
from tests.properties.histories.machines import MACHINES
from tests.properties.histories.runner import run

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import UsageError
from dovetail.protocol import proposal, requests
from dovetail.protocol.settlement import Due
from dovetail.runtime import late_payments
from dovetail.sessions import amounts, receiver, sender
from dovetail.sessions.amounts import by_payjoin_of
from dovetail.sessions.coin_presence import Presence
from dovetail.sessions.receiver.contested import Contested
from dovetail.sessions.sender import base, posting
from dovetail.sessions.sender import contested as sender_contested
from dovetail.sessions.transition import Transition
from dovetail.stores import session_index
from dovetail.stores.memory.tables import MemoryTables
from dovetail.wallets import broadcast_results

pytestmark = pytest.mark.property

SENDER, RECEIVER, BOTH = MACHINES
NOBODYS = {SENDER: {"P2", "P3", "coins", "surplus"}, RECEIVER: {"rate", "again"}, BOTH: set[str]()}
"""What a machine has nobody to hold to."""


@pytest.mark.parametrize("machine", MACHINES)
def test_every_rule_holds_in_every_history(machine: str) -> None:
    report = run(machine, 100, "make test")
    assert not report.failures, report.failures[0]
    assert report.histories >= 100
    wanted = {*RULES, *INVARIANTS} - NOBODYS[machine]
    assert wanted == {rule for rule in (*RULES, *INVARIANTS) if report.checked[rule]}


def forgets_the_slot(patch: pytest.MonkeyPatch) -> None:
    add = MemoryTables.add

    def careless(self, session_id, entry, *, closes, summary):
        following = replace(entry, seq=self.row(session_id).next_seq)
        add(self, session_id, following, closes=closes, summary=summary)

    patch.setattr(MemoryTables, "add", careless)


def forgets_the_last_event(patch: pytest.MonkeyPatch) -> None:
    replay = sender.replay

    def forgetful(events):
        log = tuple(events)
        return replay(log[:-1] if len(log) > 3 else log)

    patch.setattr(sender, "replay", forgetful)


def closes_at_the_first_block(patch: pytest.MonkeyPatch) -> None:
    settle = sender.Monitor.record_settlement

    def hasty(self, spend, *, depth, owned=()):
        return settle(self, spend, depth=9, owned=owned)

    patch.setattr(sender.Monitor, "record_settlement", hasty)


def signs_whatever_comes(patch: pytest.MonkeyPatch) -> None:
    def credulous(*, original, proposal, **_rules):
        coins = dict(zip(original.unsigned_transaction.contested(), original.utxos(), strict=True))
        for position, outpoint in enumerate(proposal.unsigned_transaction.contested()):
            if outpoint in coins:
                known = PsbtInput().with_witness_utxo(coins[outpoint])
                proposal = proposal.with_input(position, known)
        return proposal

    patch.setattr(posting, "check_proposal", credulous)


def believes_any_amount(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proposal, "_check_signatures", lambda *_args: None)


def pays_whatever_rate_remains(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proposal, "_check_fees", lambda *_args: None)


def forgets_to_close(patch: pytest.MonkeyPatch) -> None:
    add = MemoryTables.add

    def careless(self, *args, closes, **named):
        add(self, *args, closes=False, **named)

    patch.setattr(MemoryTables, "add", careless)


def sends_less(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(requests, "_PADDED_REQUEST_SIZE", 8_000)


def races_the_payjoin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(receiver.PendingFallback, "due_at", property(lambda _self: UnixTime(0)))


def pays_beside_a_payment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Contested, "paid_twice", property(lambda _self: False))


def waits_for_coins_that_are_gone(patch: pytest.MonkeyPatch) -> None:
    def hopeful(self, **_named):
        return Transition(None, self, seq=self.seq)

    patch.setattr(Contested, "record_gone", hopeful)


def keeps_watching(patch: pytest.MonkeyPatch) -> None:
    settle = receiver.Monitor.record_settlement

    def slow(self, spend, *, depth, **named):
        return settle(self, spend, depth=min(depth, self.depth - 1), **named)

    patch.setattr(receiver.Monitor, "record_settlement", slow)


def never_has_enough(patch: pytest.MonkeyPatch) -> None:
    settle = sender.Monitor.record_settlement

    def slow(self, spend, *, depth, owned=()):
        return settle(self, spend, depth=min(depth, self.depth - 1), owned=owned)

    patch.setattr(sender.Monitor, "record_settlement", slow)


def leaves_in_a_corner(patch: pytest.MonkeyPatch) -> None:
    def refuse(_self):
        raise UsageError("A payment is on its way.")

    patch.setattr(sender.PendingBroadcast, "request_fallback", refuse)


def tells_by_identity(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Due, "paid_by", lambda *_args: False)


def hears_codes_only(patch: pytest.MonkeyPatch) -> None:
    for shape in ("_REASON", "_FRAMED"):
        patch.setattr(broadcast_results, shape, re.compile("(?!)"))


def takes_trouble_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(broadcast_results, "_TROUBLE", re.compile("$^"))
    patch.setattr(broadcast_results, "_REASON", re.compile("."))


def knows_no_address_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryTables, "session_paying_to", lambda *_args: None)
    patch.setattr(session_index, "normalised_url", str)


def counts_no_payment_but_its_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Contested, "pays", lambda *_args: False)


def counts_one_payment_alone(patch: pytest.MonkeyPatch) -> None:
    settle = receiver.Monitor.record_settlement

    def blind(self, spend, *, depth, received=None):
        short = None if received is None or self.pays(spend) else received
        return settle(self, spend, depth=depth, received=short)

    patch.setattr(receiver.Monitor, "record_settlement", blind)


def counts_its_own_coins(patch: pytest.MonkeyPatch) -> None:
    def gross(payload, proposal, script):
        return replace(by_payjoin_of(payload, proposal, script), amount=Sats(70_000))

    patch.setattr(amounts, "by_payjoin_of", gross)


def tells_what_is_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(late_payments, "_gone", lambda *_args: None)


def never_looks_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(late_payments, "_late", lambda *_args: None)


def gives_its_coins_up_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Presence, "are_gone", lambda self, *_args, **_named: self.missed_at is not None)


def hopes_for_its_coins(patch: pytest.MonkeyPatch) -> None:
    def hopeful(self, **_named):
        return Transition(None, self, seq=self.seq)

    patch.setattr(sender_contested.Contested, "record_gone", hopeful)


def keeps_its_coins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryTables, "release", lambda *_args: None)


def repeats_itself(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SeededEntropy, "__call__", lambda _self, size: b"\x07" * size)


def sees_no_input_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryTables, "claim", lambda *_args: frozenset())


def lends_a_coin_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryTables, "reserve", lambda *_args: frozenset())


def tells_its_address(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(base.State, "__repr__", lambda self: str(self.payjoin_uri.address))


FAULTS: list[tuple[str, str, Callable[[pytest.MonkeyPatch], None]]] = [
    ("M1", RECEIVER, forgets_to_close),
    ("M5", BOTH, forgets_the_slot),
    ("M2", SENDER, forgets_the_last_event),
    ("M3", SENDER, closes_at_the_first_block),
    ("M4", RECEIVER, races_the_payjoin),
    ("M4", RECEIVER, pays_beside_a_payment),
    ("end", RECEIVER, waits_for_coins_that_are_gone),
    ("coins", RECEIVER, keeps_its_coins),
    ("end", RECEIVER, keeps_watching),
    ("end", SENDER, never_has_enough),
    ("end", SENDER, hopes_for_its_coins),
    ("M3", SENDER, gives_its_coins_up_at_once),
    ("command", SENDER, leaves_in_a_corner),
    ("told", SENDER, tells_by_identity),
    ("told", RECEIVER, counts_no_payment_but_its_own),
    ("surplus", RECEIVER, counts_one_payment_alone),
    ("surplus", RECEIVER, counts_its_own_coins),
    ("surplus", RECEIVER, tells_what_is_gone),
    ("surplus", BOTH, never_looks_back),
    ("words", SENDER, hears_codes_only),
    ("words", RECEIVER, takes_trouble_for_a_refusal),
    ("again", SENDER, knows_no_address_again),
    # Whoever takes any proposal also takes one that no wallet signs, and then waits for ever.
    ("M3|M4|rate", SENDER, signs_whatever_comes),
    ("rate", SENDER, believes_any_amount),
    ("M3|M4|rate", SENDER, pays_whatever_rate_remains),
    ("P1", BOTH, repeats_itself),
    ("P2", RECEIVER, sees_no_input_twice),
    ("P3", RECEIVER, lends_a_coin_twice),
    ("P4", SENDER, tells_its_address),
    ("P5", BOTH, sends_less),
]


@pytest.mark.parametrize(
    ("rule", "machine", "fault"), FAULTS, ids=[f.__name__ for _, _, f in FAULTS]
)
def test_a_broken_rule_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch,
    rule: str,
    machine: str,
    fault: Callable[[pytest.MonkeyPatch], None],
) -> None:
    fault(monkeypatch)
    report = run(machine, 1_200, "sabotage", shrink=False)
    assert any(re.search(f"Violation: ({rule}): ", each) for each in report.failures)


def test_a_stress_run_ends_with_its_count_and_seed() -> None:
    command = [sys.executable, "-m", "tests.properties.histories"]
    chosen = ["--histories", "3", "--seed", "5", "--jobs", "1"]
    done = subprocess.run([*command, *chosen], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    named = [line.split("  ")[0] for line in lines[1:-1]]
    assert named == [*MACHINES, *INVARIANTS.values()]
    count, _, rest = lines[-1].partition(" ")
    assert int(count) >= 3 * len(MACHINES)
    assert rest == "histories, 0 violations, seed 5"
