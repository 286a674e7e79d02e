"""One run: the acts of a path, with a party killed on the way and started again with `resume`."""

import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

from tests.kill.ledger import Party
from tests.kill.nodes import locked, stray
from tests.kill.parties import PEOPLE, Parties
from tests.kill.path import Stuck
from tests.kill.processes import Process

from dovetail.bitcoin import FeeRate, Network, OutPoint, Sats, Transaction
from dovetail.regtest.remote import remote_mine
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver.base import State as ReceiverState
from dovetail.stores.sql import SqliteStore
from dovetail.testing.kill import Killer
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Accepted

LIFETIME = 3600
GRACE = 600
_CLOSED = receiver.Closed | sender.Closed
_BRISK = FeeRate.from_sat_per_vb(30)


class Play(Parties):
    """Acts are commands; a kill may come at any effect of one."""

    def receive(self) -> None:
        """The receiver asks for the payment, again if it was killed before there was a session."""
        words = ("receive", "50000", "--no-wait", "--no-qr", "--lifetime", f"{LIFETIME}s")
        self._do_once(Party.RECEIVER, words)

    def serve(self) -> None:
        """The receiver asks for the payment at a server of its own (BIP 78), and stays there."""
        place = ("--listen", f"127.0.0.1:{self.ports.receiver}")
        self._resuming[Party.RECEIVER] = ("resume", *place)
        words = ("receive", "50000", "--v1", *place, "--no-qr", "--lifetime", f"{LIFETIME}s")

        def asks() -> bool:
            return self.state(Party.RECEIVER) is not None

        for _ in range(3):
            process = self._start(Party.RECEIVER, words)
            self.until(lambda made=process: made.code is not None or asks(), "for the URI")  # type: ignore[misc]
            if process.code == -9:
                self._note_kill(Party.RECEIVER)
            elif process.code is None:
                self._running[Party.RECEIVER] = [process]
            if asks():
                self.begin(Party.RECEIVER)
                return
        raise Stuck(f"The receiver does not serve: {self._last_words(Party.RECEIVER)}")

    def employ(self) -> None:
        """From now on a `dovetail run` of each party does all the work."""
        for party in PEOPLE:
            self._resuming[party] = ("run",)
            self.begin(party)

    def send(self, *more: str) -> None:
        """The sender pays, again if it was killed before there was a session.

        `--no-wait` makes one try: where a mailroom was dead just then, `resume` makes the next.
        """
        self._do_once(Party.SENDER, (*self.sending(), *more))
        if self._is_unsent() and Party.SENDER not in self._begun:
            self.begin(Party.SENDER)
            self.until(lambda: not self._is_unsent(), "for the Original to leave")
            self.pause(Party.SENDER)

    def sending(self, *, wait: bool = False) -> tuple[str, ...]:
        """The command that pays; it goes on trying where it is to `wait`."""
        state = self.state(Party.RECEIVER)
        if state is None:
            raise Stuck("There is nothing to pay.")
        words = ("send", state.payjoin_uri.serialize(), "--yes")
        return words if wait else (*words, "--no-wait")

    def decide(self, party: Party, *words: str) -> int:
        """A decision of a person about session 1; whether the state allows it is not asked."""
        return self.do(party, words[0], "1", *words[1:])

    def answer(self, party: Party, *words: str) -> None:
        """A decision of a person, again if it was killed and the session asks once more."""

        def asks() -> bool:
            return isinstance(self.state(party), receiver.PendingFallback | sender.PendingFallback)

        for _ in range(3):
            self.decide(party, *words)
            if party in self._begun:
                self.until(lambda: party in self._ended or not asks(), "for the question")
            if not asks():
                return

    def do(self, party: Party, *words: str) -> int:
        """A command to its end, or to its kill: then the party is resumed, and goes on."""
        process = self._start(party, words)
        self.until(lambda: process.code is not None, " ".join(words))
        if process.code == -9:
            self._note_kill(party)
            self.begin(party)
        return process.code or 0

    def at_once(self, party: Party, *decisions: tuple[str, ...]) -> None:
        """Several decisions about session 1 at the same time; only the first can be killed."""
        commands = [(words[0], "1", *words[1:]) for words in decisions]
        deciding = [
            self._start(party, words, armed=not number) for number, words in enumerate(commands)
        ]
        self.until(lambda: all(each.code is not None for each in deciding), "for all decisions")
        if deciding[0].code == -9:
            self._note_kill(party)
            self.begin(party)

    def halt(self, party: Party, effect: str, *words: str) -> None:
        """Part of a path's set-up: the party dies at its first effect of this name."""
        killer = Killer(self.journal(party), on=effect)
        process = self._command(party, words or ("resume",)).start(killer)
        self._group.add(process)
        self.until(lambda: process.code is not None, f"until {effect}")
        if process.code != -9:
            raise Stuck(f"{party} never came to: {effect}")

    def pass_time(self, seconds: int = LIFETIME + GRACE + 60) -> None:
        """Set the parties' clock forward: by default past the expiration and its grace."""
        self.clock.ahead += seconds

    def linger(self) -> None:
        """Let those who have begun look around for a moment."""
        end = time.monotonic() + 0.4
        self.until(lambda: time.monotonic() > end, "a moment")

    def stray(self) -> None:
        """Part of a path's set-up: the receiver spends the coin that it offered elsewhere."""
        home = self.home(Party.RECEIVER)

        def on_the_node() -> int:
            return stray(home, self.database(Party.RECEIVER), self.ports)

        if self.ports.node is None:
            with SqliteStore.open(self.database(Party.RECEIVER)) as store:
                (offered,) = store.exposed()
            self._spend(Party.RECEIVER, lambda wallet: wallet.revoke(offered, fee_rate=_BRISK))
        else:
            self.done(Process(on_the_node, home / "stray.log"), "the stray coin")
        self.mine()

    def forget(self, party: Party) -> None:
        """The party loses all that it knew of the payment; its wallet stays."""
        self.pause(party)
        for file in self.database(party).parent.glob("sessions.db*"):
            file.unlink()

    def pay_directly(self, amount: int, *, sparing: Collection[OutPoint]) -> None:
        """The payer pays the address from other coins, by a wallet that knows of no session."""
        state = self.state(Party.RECEIVER)
        if not isinstance(state, ReceiverState):
            raise Stuck("There is no address to pay.")
        script = state.address.script_pubkey

        def build(wallet: BdkWallet) -> Transaction:
            paid = wallet.pay(script, Sats(amount), fee_rate=_BRISK, unspendable=sparing)
            return paid.extract()

        self.direct.add(self._spend(Party.SENDER, build))

    def take_away(self, outpoint: OutPoint) -> None:
        """The payer spends a coin of the Original to itself, and a block confirms that."""
        self._spend(Party.SENDER, lambda wallet: wallet.revoke(outpoint, fee_rate=_BRISK))
        self.mine()

    def _spend(self, party: Party, build: Callable[[BdkWallet], Transaction]) -> str:
        """Broadcast what `build` makes of the party's wallet; its txid."""
        home, url = self.home(party), self.ports.chain_url
        told = home / "spent.txid"

        def work() -> int:
            wallet = BdkWallet.open(home / "regtest" / "wallet", server=url)
            wallet.sync()
            spend = build(wallet)
            told.write_text(str(spend.txid))
            with EsploraChain(url, Network.REGTEST) as chain:
                return int(not isinstance(chain.broadcast(spend), Accepted))

        self.done(Process(work, home / "spend.log"), f"a plain transaction of the {party}")
        return told.read_text()

    def mine(self) -> None:
        remote_mine(self.ports.chain_url)
        self._to_bury = self.how.way.depth - 1

    def undo(self) -> None:
        """Mine what waits, let it be seen, and make it as if it had never been broadcast."""
        if self.ports.node is not None:  # from which it comes a moment later
            self.until_waiting()
        while self.chain.waiting():
            self.mine()
        self.linger()
        self._chain.end()
        self.chain.close()
        self._forget_the_tip()
        self._start_chain()
        self.linger()

    def until_logged(self, party: Party, tag: str) -> None:
        """Let those who have begun go on until a log has this entry, or is closed."""
        self.until(lambda: self.logged(party, tag), f"for {tag}")

    def until_closed(self, party: Party) -> None:
        """The same until the party's log is closed, while blocks are mined."""
        self.until(
            lambda: self.mined() and isinstance(self.state(party), _CLOSED), f"for the {party}"
        )

    def until_waiting(self) -> None:
        """The same until something waits for a block."""
        self.until(lambda: bool(self.chain.waiting()), "for a transaction")

    def done(self, process: Process, what: str) -> None:
        """Let a process that is no party's come to its end."""
        self._group.add(process)
        self.until(lambda: process.code is not None, what)
        if process.code != 0:
            raise Stuck(f"It failed: {what}")

    def settle(self) -> None:
        """Let both go on, and mine what they broadcast, until nothing is left to wait for.

        Who asked a person looks again, as the other may have ended it meanwhile.
        """
        for _ in range(2):
            for party in PEOPLE:
                self.begin(party)
            self.until(self._settled, "for the end")
            if all(isinstance(self.state(party), _CLOSED) for party in PEOPLE):
                if self.ports.node is not None:
                    self.until(lambda: not locked(self.folder, self.ports), "for unlocked coins")
                break

    def mined(self) -> bool:
        """Whether nothing waits for a block; what does gets one, and those on top of it."""
        if self.chain.waiting():
            self.mine()
            return False
        if self._to_bury:
            remote_mine(self.ports.chain_url)
            self._to_bury -= 1
            return False
        return True

    def _settled(self) -> bool:
        return self.mined() and all(self._finished(party) for party in PEOPLE)

    def _finished(self, party: Party) -> bool:
        """Whether its log is closed, or it ended by itself: a person has to decide.

        A released payment waits for what may never come: until the other is done.
        """
        state = self.state(party)
        if state is None or isinstance(state, _CLOSED) or party in self._ended:
            return not self._running[party] or self._resuming[party] == ("run",)
        if isinstance(state, sender.Monitor) and state.released:
            other = self.state(Party.RECEIVER)
            gone = other is None or isinstance(other, _CLOSED)
            spent = any(self.chain.spent(each) for each in state.contested)
            return not spent and (gone or Party.RECEIVER in self._ended)
        return False

    def _is_unsent(self) -> bool:
        state = self.state(Party.SENDER)
        return isinstance(state, sender.WithReplyKey | sender.PostingOriginal)

    def _do_once(self, party: Party, words: tuple[str, ...]) -> None:
        for _ in range(3):
            code = self.do(party, *words)
            if self.state(party) is not None:
                return
            if code not in (0, 1, 3, -9):  # 1: a mailroom that is dead is told, and tried again
                raise Stuck(f"`{words[0]}` of the {party} failed: {self._last_words(party)}")
            self.pause(party)
        raise Stuck(f"`{words[0]}` of the {party} came to nothing: {self._last_words(party)}")


def copy(folder: Path, to: Path) -> Path:
    """Another world, the same in every byte."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.journal", "*.up"))
    return to
