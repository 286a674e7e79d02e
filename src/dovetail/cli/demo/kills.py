"""`dovetail demo --kill`: three payments, in each of which both parties are killed and resumed."""

import signal
import time
from collections import Counter
from collections.abc import Generator
from itertools import count

from dovetail.cli.demo.processes import PATIENCE, Json, Person, Process, Stage, ask, open_stage
from dovetail.cli.demo.script import AMOUNT, chapter, line, set_up
from dovetail.cli.demo.transaction_table import Ledger
from dovetail.cli.output import write
from dovetail.crypto.entropy import below, system
from dovetail.errors import InfrastructureError
from dovetail.regtest import remote_mine
from dovetail.testing.kill import struck

PAYMENTS = 3
# What each does at least on its way, so that every kill comes; before the sender's second effect
# there is no session to go on with.
STEPS = {"sender": range(2, 15), "receiver": range(1, 19)}


def tell_kills(keep: str | None, verbose: int = 0) -> int:
    """Tell it; the exit code is 0 only if each payment is on the chain as a payjoin, once."""
    with open_stage(keep, verbose) as stage:
        people = set_up(stage)
        seen: Counter[str] = Counter()
        for number in range(1, PAYMENTS + 1):
            chapter(f"Payment {number}")
            seen.update(_pay(stage, *people))
    chapter("In all")
    kills = min(seen[person.name] for person in people)
    write(
        f"{kills} kills each, {seen['payjoins']} payjoins, {seen['lost']} payments lost,"
        f" {seen['twice']} paid twice"
    )
    as_meant = (kills, seen["payjoins"], seen["lost"], seen["twice"])
    return int(as_meant != (PAYMENTS, PAYMENTS, 0, 0))


def _pay(stage: Stage, sender: Person, receiver: Person) -> Counter[str]:
    """One payment, from the request to the last log's end; how it went, by the chain."""
    before = _height(stage)
    uri = str(receiver.run("receive", str(AMOUNT), "--no-wait", may=(0, 3))["uri"])
    line("receiver", "Asks for the payment.")
    under_way = {
        receiver.name: (receiver, receiver.begin_mortal(_step(receiver))),
        sender.name: (sender, sender.begin_mortal(_step(sender), uri)),
    }
    seen: Counter[str] = Counter()
    deadline = time.monotonic() + 2 * PATIENCE
    while under_way:
        if time.monotonic() > deadline:
            raise InfrastructureError("The demo waited in vain: run it with --keep and see why.")
        if ask(f"{stage.chain}/mempool/txids"):
            remote_mine(stage.chain)
            line("chain", "A block confirms what was broadcast.")
        for name, (person, process) in tuple(under_way.items()):
            if process.poll() is None:
                continue
            if process.returncode == -signal.SIGKILL:
                seen[name] += 1
                under_way[name] = (person, _resumed(person))
            elif process.returncode == 0:
                del under_way[name]
            else:
                raise InfrastructureError(f"The {name} failed: run the demo with --keep.")
        time.sleep(0.05)
    return seen + _judged(stage, (sender, receiver), before)


def _step(person: Person) -> int:
    steps = STEPS[person.name]
    return steps[below(system, len(steps))]


def _resumed(person: Person) -> Process:
    """Say where it died and what its log knows, and let `dovetail resume` go on from there."""
    line(person.name, f"Killed at: {struck(person.journal)}.")
    newest: Json = person.run("history")["sessions"][0]
    process = person.begin("resume")
    line("", f"Resumed from its log: {newest['status_words']}")
    return process


def _judged(stage: Stage, people: tuple[Person, Person], height: int) -> Counter[str]:
    """One payment as the chain shows it."""
    for person in people:
        stage.note_coins(person)
    ledgers = [Ledger.of(each, stage.owners) for each in _transactions(stage, height)]
    payments = [ledger for ledger in ledgers if ledger.gain("receiver") > 0]
    payjoins = [ledger for ledger in payments if ledger.is_payjoin]
    for ledger in payments:
        kind = "payjoin" if ledger.is_payjoin else "fallback"
        line("chain", f"Paid by {kind} {ledger.txid}.")
    return Counter(payjoins=len(payjoins), lost=int(not payments), twice=int(len(payments) > 1))


def _transactions(stage: Stage, height: int) -> Generator[Json]:
    """Those of the blocks above `height`, but for the miner's."""
    for each in count(height + 1):
        if each > _height(stage):
            return
        (block,) = [b for b in ask(f"{stage.chain}/blocks/{each}") if b["height"] == each]
        for txid in ask(f"{stage.chain}/block/{block['id']}/txids")[1:]:
            yield ask(f"{stage.chain}/tx/{txid}")


def _height(stage: Stage) -> int:
    return int(ask(f"{stage.chain}/blocks/tip/height"))
