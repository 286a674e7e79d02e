"""The demo's story, a line for each thing that happened and why it matters."""

import time
from collections.abc import Callable

from dovetail.cli.demo.processes import PATIENCE, Json, Person, Process, Stage, ask, open_stage
from dovetail.cli.demo.transaction_table import Ledger, sats
from dovetail.cli.output import write
from dovetail.errors import InfrastructureError
from dovetail.regtest import remote_mine

AMOUNT = 50_000
FUNDS = {"sender": (1_000_000,), "receiver": (200_000, 350_000)}
LONGEST_QUOTE = 88


def tell(keep: str | None, verbose: int = 0) -> int:
    """Tell it; the exit code is 0 only if the payjoin is on the chain."""
    with open_stage(keep, verbose) as stage:
        return _Play(stage).perform()


class _Play:
    """One performance, in the order of its acts."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def perform(self) -> int:
        sender, receiver = set_up(self._stage)
        chapter("The payment")
        uri = self._ask(receiver)
        plain_fee = self._post(sender, uri)
        receiving = self._contribute(receiver)
        sending = self._pay(sender)
        self._confirm(sender, sending, receiver, receiving)
        ended = {person.name: _only(person.run("history")) for person in (sender, receiver)}
        return self._judge(ended, plain_fee)

    def _ask(self, receiver: Person) -> str:
        uri = str(receiver.run("receive", str(AMOUNT), "--no-wait", may=(0, 3))["uri"])
        line("receiver", f"Asks for {sats(AMOUNT)} sats by a URI that names a mailbox and its key:")
        quote(uri)
        return uri

    def _post(self, sender: Person, uri: str) -> int:
        fee = int(sender.run("send", uri, "--yes", "--no-wait", may=(0, 3))["fee_sats"])
        line(
            "sender",
            "Signs an ordinary payment, to have in reserve; seals it for the receiver;",
            "posts it; and goes offline: its process has ended.",
        )
        return fee

    def _contribute(self, receiver: Person) -> Process:
        process = receiver.begin("resume")
        wait_for(lambda: _only(receiver.run("history"))["status"] == "proposal-sent", pause=0.5)
        line(
            "receiver",
            "Opens it, checks it, adds a coin of its own and posts the signed proposal.",
            "If nobody returns, it holds the ordinary payment, and will be paid.",
        )
        return process

    def _pay(self, sender: Person) -> Process:
        process = sender.begin("resume")
        wait_for(lambda: bool(ask(f"{self._stage.chain}/mempool/txids")))
        line(
            "sender",
            "Comes back knowing nothing but its log, checks the proposal by the rules of",
            "BIP 78, signs and broadcasts.",
        )
        return process

    def _confirm(
        self, sender: Person, sending: Process, receiver: Person, receiving: Process
    ) -> None:
        remote_mine(self._stage.chain)
        line(
            "chain",
            "A block confirms it. The ordinary payment spends the same coin: it is void.",
        )
        for person, process in ((sender, sending), (receiver, receiving)):
            person.finish(process, "resume")
            self._stage.note_coins(person)
        line("both", "Both sessions are closed: nothing is left to pay.")

    def _judge(self, ended: dict[str, Json], plain_fee: int) -> int:
        txid = ended["receiver"]["txid"]
        ledger = Ledger.of(ask(f"{self._stage.chain}/tx/{txid}"), self._stage.owners)
        chapter("The transaction")
        write(ledger.drawn(AMOUNT, plain_fee=plain_fee))
        closed = all(
            (end["outcome"], end["txid"]) == ("success", ledger.txid) for end in ended.values()
        )
        if not (closed and ledger.is_payjoin):
            write("The chain does not show the payjoin that was meant.", fg="red", err=True)
            return 1
        write()
        write(f"payjoin {txid} confirmed: inputs from both parties; ordinary payment not used")
        return 0


def set_up(stage: Stage) -> tuple[Person, Person]:
    """Start the servers and give both people their coins."""
    chapter("The stage")
    stage.serve_chain()
    line("chain", "A regtest chain is up. Bitcoin Core's own code checks every block of it.")
    stage.serve_mailroom()
    line("mailroom", "A mailroom is up. It will pass sealed messages on, and can read none.")
    sender, receiver = (stage.person(name, *values) for name, values in FUNDS.items())
    line(
        "wallets",
        f"Funded: sender {sats(sum(FUNDS['sender']))} sats in one coin,"
        f" receiver {sats(sum(FUNDS['receiver']))} in two.",
    )
    return sender, receiver


def chapter(title: str) -> None:
    """Open a part of the story."""
    write()
    write(title, bold=True)


def line(who: str, *what: str) -> None:
    """Say who did what; further lines go under the first."""
    for index, text in enumerate(what):
        name = f"  {who if index == 0 else '':<9} "
        write(f"{name}{text}", label=len(name), fg="cyan")


def quote(text: str) -> None:
    """Show a long text by its beginning and its end."""
    if len(text) > LONGEST_QUOTE:
        half = LONGEST_QUOTE // 2 - 1
        text = f"{text[:half]}…{text[-half:]}"
    write(f"            {text}", dim=True)


def wait_for(reached: Callable[[], bool], *, pause: float = 0.05) -> None:
    """Look again until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise InfrastructureError(
                "The demo waited in vain: run it with --keep to look into its logs."
            )
        time.sleep(pause)


def _only(history: Json) -> Json:
    (session,) = history["sessions"]
    found: Json = session
    return found
