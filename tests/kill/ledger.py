"""What the chain shows of one run: who paid whom, and whether the logs say so too."""

import http.client
import json
import sqlite3
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dovetail.bitcoin import OutPoint, Script, UnixTime
from dovetail.explain.session import explain
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession

AMOUNT = 50_000
LARGEST_FEE = 20_000

State = ReceiverSession | SenderSession


class Party(StrEnum):
    SENDER = "sender"
    RECEIVER = "receiver"
    MAILROOM = "mailroom"


class Ending(StrEnum):
    """How a run ended, by the chain."""

    PAYJOIN = "payjoin"
    FALLBACK = "fallback"
    DIRECT = "direct"
    """By a transaction of neither session: the payer used another wallet."""
    RELEASED = "released"
    """Nothing was paid, and nothing was owed: taken back, declined, or never begun."""
    LOST = "lost"
    DOUBLED = "doubled"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ending, and what is wrong with it."""

    ending: Ending
    trouble: str | None = None


class ChainView:
    """A chain over HTTP, as plain facts."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def close(self) -> None:
        """Let the connection go; the next question opens another."""
        self._connection.close()

    def get(self, path: str) -> Any:
        self._connection.request("GET", path)
        answer = self._connection.getresponse().read()
        try:
            return json.loads(answer)
        except ValueError:
            return answer.decode()

    @property
    def height(self) -> int:
        return int(self.get("/blocks/tip/height"))

    def waiting(self) -> list[str]:
        found: list[str] = self.get("/mempool/txids")
        return found

    def spent(self, outpoint: OutPoint) -> bool:
        """Whether something spends it, in the mempool or a block."""
        return bool(self.get(f"/tx/{outpoint.txid}/outspend/{outpoint.vout}")["spent"])

    def since(self, height: int) -> list[dict[str, Any]]:
        """The transactions of the blocks above `height`, but for coinbases."""
        found = []
        for each in range(height + 1, self.height + 1):
            block = self.get(f"/block-height/{each}")
            transactions = [self.get(f"/tx/{txid}") for txid in self.get(f"/block/{block}/txids")]
            found += [tx for tx in transactions if not _coinbase(tx)]
        return found


def _coinbase(tx: dict[str, Any]) -> bool:
    return bool(tx["vin"][0].get("is_coinbase"))


class SpendKind(StrEnum):
    """What one transaction is between the two."""

    PAYJOIN = "payjoin"
    FALLBACK = "fallback"
    DIRECT = "direct"
    """By a wallet that knows of no session, in one part or several."""
    TAKEN_BACK = "taken back"
    """Paid by a party to itself."""
    STRANGE = "strange"


@dataclass(frozen=True, slots=True)
class Movement:
    """A transaction of the chain, and what it is."""

    txid: str
    kind: SpendKind
    who: Party | None = None
    amount: int = 0
    """What it brought the receiver, where it paid."""


Owner = Callable[[Script], Party | None]


def movement(tx: dict[str, Any], owner: Owner, direct: Collection[str] = frozenset()) -> Movement:
    """Judge a transaction by whose coins it spends and whom it pays, to the satoshi.

    `direct` are the txids that a wallet without a session has paid.
    """
    spent = [(owner(_script(i["prevout"])), int(i["prevout"]["value"])) for i in tx["vin"]]
    made = [(owner(_script(output)), int(output["value"])) for output in tx["vout"]]
    spenders, payees = {who for who, _ in spent}, {who for who, _ in made}
    gain = {who: _sum(made, who) - _sum(spent, who) for who in (Party.SENDER, Party.RECEIVER)}
    txid = str(tx["txid"])
    cost = -gain[Party.SENDER] - AMOUNT
    if None in spenders | payees:
        return Movement(txid, SpendKind.STRANGE)
    if spenders == payees and len(spenders) == 1:
        return Movement(txid, SpendKind.TAKEN_BACK, spenders.pop())
    if txid in direct:
        return Movement(txid, SpendKind.DIRECT, amount=gain[Party.RECEIVER])
    fair = 0 < cost <= LARGEST_FEE
    if spenders == {Party.SENDER} and fair and gain[Party.RECEIVER] == AMOUNT:
        return Movement(txid, SpendKind.FALLBACK, amount=AMOUNT)
    both = spenders == {Party.SENDER, Party.RECEIVER}
    if both and fair and AMOUNT - LARGEST_FEE < gain[Party.RECEIVER] <= AMOUNT:
        return Movement(txid, SpendKind.PAYJOIN, amount=gain[Party.RECEIVER])
    return Movement(txid, SpendKind.STRANGE)


def _script(output: dict[str, Any]) -> Script:
    return Script(bytes.fromhex(output["scriptpubkey"]))


def _sum(entries: Iterable[tuple[Party | None, int]], who: Party) -> int:
    return sum(value for owner, value in entries if owner is who)


def _rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql).fetchall()


def entries(database: Path) -> tuple[list[str], list[bytes]]:
    """The tags and events of the only session of a database, if it has one."""
    if not database.exists():
        return [], []
    try:
        rows = _rows(database, "SELECT tag, data, session_id FROM session_events ORDER BY seq")
    except sqlite3.OperationalError:  # its tables are not made yet
        return [], []
    if any(row[2] != 1 for row in rows):
        raise AssertionError("A party has begun a second session.")
    return [row[0] for row in rows], [bytes(row[1]) for row in rows]


def held(database: Path) -> int:
    """How many coins the sessions of a database hold."""
    return len(_rows(database, "SELECT 1 FROM coin_reservations WHERE session_id IS NOT NULL"))


def state_of(party: Party, database: Path) -> State | None:
    """Where the party's log says that its session stands; None for no session."""
    _, events = entries(database)
    if not events:
        return None
    if party is Party.SENDER:
        return sender.replay(sender.events.CODEC.decode_log(events))
    return receiver.replay(receiver.events.CODEC.decode_log(events))


def judge(
    movements: list[Movement],
    states: dict[Party, State | None],
    *,
    may_release: bool,
    may_stray: bool,
    beside: bool = False,
) -> Verdict:
    """The ending, by the chain; anything that is not as promised is named and counts as lost.

    `may_release` where a person declined the payment, `may_stray` where a receiver spends a coin
    elsewhere on purpose, `beside` where a wallet that knows of no session pays a second time.
    """
    direct = [each for each in movements if each.kind is SpendKind.DIRECT]
    if beside and not direct:
        return Verdict(Ending.LOST, "the second payment did not come")
    ours = [each for each in movements if not beside or each not in direct]
    trouble = _misplaced(ours, may_release=may_release, may_stray=may_stray)
    if trouble is not None:
        return trouble
    for party, state in states.items():
        wrong = _untrue(state, movements)
        if wrong is not None:
            return Verdict(Ending.LOST, f"the {party}'s log: {wrong}")
    wrong = _untold(states[Party.RECEIVER], movements)
    if wrong is not None:
        return Verdict(Ending.LOST, wrong)
    paid = _payments(ours)
    if paid:
        return Verdict(_ENDINGS[paid[0].kind])
    sending = states[Party.SENDER]
    if sending is None or (may_release and _declined(sending)):
        return Verdict(Ending.RELEASED)
    return Verdict(Ending.LOST, "nothing was paid")


_ENDINGS = {
    SpendKind.PAYJOIN: Ending.PAYJOIN,
    SpendKind.FALLBACK: Ending.FALLBACK,
    SpendKind.DIRECT: Ending.DIRECT,
}


def _payments(movements: list[Movement]) -> list[Movement]:
    """What paid the receiver: each a payment in full, but for parts that a wallet paid directly."""
    parts = [each for each in movements if each.kind is SpendKind.DIRECT]
    whole = sum(each.amount for each in parts) == AMOUNT
    direct = parts[:1] if whole else parts
    return direct + [
        each for each in movements if each.kind in (SpendKind.PAYJOIN, SpendKind.FALLBACK)
    ]


def _misplaced(movements: list[Movement], *, may_release: bool, may_stray: bool) -> Verdict | None:
    """What is wrong with the coins' way, whatever the logs say."""
    if len(_payments(movements)) > 1:
        return Verdict(Ending.DOUBLED, "the receiver was paid twice")
    strange = [each for each in movements if each.kind is SpendKind.STRANGE]
    if strange:
        return Verdict(Ending.LOST, f"coins moved otherwise, in {strange[0].txid}")
    back = [each for each in movements if each.kind is SpendKind.TAKEN_BACK]
    if any(each.who is Party.RECEIVER for each in back) and not may_stray:
        return Verdict(Ending.LOST, "the receiver's coins moved")
    if any(each.who is Party.SENDER for each in back) and not may_release:
        return Verdict(Ending.LOST, "the sender's coins moved")
    return None


def _declined(state: State) -> bool:
    """Whether the log says that a person stopped the payment, and waits for no more than a word."""
    match state:
        case sender.Closed():
            return isinstance(state.outcome, outcomes.Cancelled | outcomes.Revoked)
        case sender.PendingFallback():
            return state.reason is Reason.CANCELLED_BY_US
        case sender.Monitor():
            return state.released
        case _:
            return False


def _untrue(state: State | None, movements: list[Movement]) -> str | None:
    """What a log says that the chain does not show."""
    kinds = {each.txid: each for each in movements}
    match state:
        case None:
            return None
        case receiver.Closed() | sender.Closed():
            return _false_outcome(state, kinds)
        case receiver.PendingFallback() | sender.PendingFallback():
            owed, what = True, "a fallback is owed"
        case sender.Monitor():
            owed, what = state.released, "watches a payment"
        case _:
            owed, what = False, type(state).__name__
    settled = bool(_payments(movements))
    if settled or not owed:
        return f"is still open ({what}), though there is nothing to wait for"
    return None


def _untold(state: State | None, movements: list[Movement]) -> str | None:
    """What the receiver's log does not tell of what came beyond the amount."""
    if not isinstance(state, receiver.Closed):
        return None
    told = explain(state, UnixTime(0)).surplus
    said = 0 if told is None or told.too_much is None else int(told.too_much)
    beyond = max(0, sum(each.amount for each in movements) - AMOUNT)
    return None if said == beyond else f"told of {said} sats too much, and {beyond} are"


def _false_outcome(
    state: receiver.Closed | sender.Closed, kinds: dict[str, Movement]
) -> str | None:
    outcome = state.outcome
    match outcome:
        case outcomes.Cancelled() | outcomes.Expired():
            # A receiver who had nothing to fall back on may be paid later by the sender's.
            paid = isinstance(state, sender.Closed) and kinds
            return "closed as if nothing had been paid" if paid else None
        case outcomes.PayjoinProposalSent():
            return "closed without looking at the chain"
    shown = kinds.get(outcome.txid)
    if shown is None or shown.kind not in _SHOWN[type(outcome)]:
        return f"closed as {type(outcome).__name__}, which the chain does not show"
    return None


_SHOWN: dict[type, tuple[SpendKind, ...]] = {
    outcomes.Success: (SpendKind.PAYJOIN,),
    outcomes.FallbackBroadcasted: (SpendKind.FALLBACK,),
    outcomes.PaidDirectly: (SpendKind.FALLBACK, SpendKind.DIRECT),
    outcomes.Revoked: (SpendKind.TAKEN_BACK,),
    outcomes.Unrecognized: (SpendKind.TAKEN_BACK,),
}
