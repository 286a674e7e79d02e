"""`dovetail wallet transactions`: what moved the wallet's money, and by which session."""

import sys
from collections.abc import Mapping

from dovetail.cli import context, json_keys, open_parts, signals
from dovetail.cli.clock import clock
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import wallet_secrets
from dovetail.cli.output import Screen, local_time, sats
from dovetail.cli.tables import table
from dovetail.errors import ReplayError
from dovetail.explain.session import explain
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId, SessionRow, Store
from dovetail.wallets.ports import WalletTransaction

_HEADINGS = ("Date", "Amount", "Fee", "Depth", "Session", "Transaction")
_NUMBERS = frozenset({1, 2, 3})
_PAGE = 1000


def transactions(limit: int, screen: Screen) -> int:
    """List them; see `dovetail wallet transactions --help`."""
    place = context.home()
    wallet_secrets.own_wallet(place, "`bitcoin-cli listtransactions`")
    wallet = open_parts.open_own(place)
    screen.tick("Looking at the chain ...")
    with signals.at_once():
        wallet.sync()
    every = wallet.transactions()
    found = every[:limit]
    with open_parts.open_store(place) as store:
        sessions = {} if store is None else _sessions(store)
    if found:
        screen.result(_listed(found, sessions))
    else:
        screen.say("There is no transaction yet: have `dovetail wallet address` paid.")
    more = len(every) > limit
    if more:
        screen.say(f"There are {len(every) - limit} older ones: --limit {len(every)} lists all.")
    listed = [_values(each, sessions) for each in found]
    screen.emit(json_keys.WALLET_TRANSACTIONS, {"transactions": listed, "more": more})
    return Exit.DONE


def _sessions(store: Store) -> dict[str, list[SessionId]]:
    """The sessions of each transaction, by its txid, oldest first."""
    found: dict[str, list[SessionId]] = {}
    last = None
    while page := store.history(limit=_PAGE, before=last):
        for row in page:
            for txid in _txids(row) | _broadcast(store, row):
                found.setdefault(txid, []).insert(0, row.session_id)
        last = page[-1].session_id
    return found


def _txids(row: SessionRow) -> set[str]:
    """The transactions that the chain showed of a session, and those of its outcome."""
    outcome = None if row.ending is None else row.ending.outcome
    told = {getattr(outcome, "txid", None), *getattr(outcome, "txids", ())}
    if row.sighting is not None:
        told.add(str(row.sighting.txid))
    return {txid for txid in told if txid is not None}


def _broadcast(store: Store, row: SessionRow) -> set[str]:
    """The transaction that an open session has broadcast; the chain may not have shown it yet."""
    if row.closed_at is not None:
        return set()
    try:
        txid = explain(load_session(store, row.session_id), clock()).txid
    except ReplayError:
        return set()  # one log that cannot be read hides no other
    return set() if txid is None else {txid}


def _listed(found: tuple[WalletTransaction, ...], sessions: Mapping[str, list[SessionId]]) -> str:
    short = sys.stdout.isatty()
    rows = [_cells(each, sessions, short=short) for each in found]
    return table(_HEADINGS, rows, right=_NUMBERS)


def _cells(
    each: WalletTransaction, sessions: Mapping[str, list[SessionId]], *, short: bool
) -> tuple[str, ...]:
    txid = str(each.txid)
    at = "" if each.at is None else local_time(each.at)
    gained = int(each.received) - int(each.sent)
    return (
        at[5:16] if short else at,
        f"{'+' if gained > 0 else ''}{sats(gained)}",
        sats(each.fee) if each.fee is not None and each.sent else "",
        str(each.depth),
        ", ".join(map(str, sessions.get(txid, ()))),
        f"{txid[:8]}…{txid[-4:]}" if short else txid,
    )


def _values(each: WalletTransaction, sessions: Mapping[str, list[SessionId]]) -> dict[str, object]:
    return {
        "txid": str(each.txid),
        "at": each.at,
        "received_sats": int(each.received),
        "sent_sats": int(each.sent),
        "fee_sats": None if each.fee is None else int(each.fee),
        "confirmations": each.depth,
        "sessions": sessions.get(str(each.txid), []),
    }
