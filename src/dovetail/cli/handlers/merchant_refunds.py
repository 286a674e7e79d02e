"""`dovetail merchant refund`: the owner sees refunds, and decides."""

from collections.abc import Callable
from uuid import UUID

from dovetail.cli import context, json_keys, merchant_parts
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen, confirm, require_somebody, sats
from dovetail.errors import UsageError
from dovetail.merchant.data import audit, refunds
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.services.refund_payments import Trouble
from dovetail.merchant.services.refunds import Refunds


def listed(screen: Screen, *, waiting: bool, database: str | None) -> int:
    """Show the newest refunds; see `dovetail merchant refund list --help`."""
    only = (RefundStatus.CLAIMED,) if waiting else None
    home = context.home(tell=False)
    settings = merchant_parts.settings_of(home, database=database)
    with merchant_parts.open_database(home, settings) as opened:
        found = opened.read(lambda connection: refunds.page(connection, statuses=only))
    for row in found:
        screen.result(_line(row))
    if not found:
        screen.say("There is no such refund.")
    screen.emit(json_keys.MERCHANT_REFUNDS, {"refunds": [_values(row) for row in found]})
    return Exit.DONE


def approve(screen: Screen, *, refund_id: str, yes: bool, database: str | None) -> int:
    """Approve a refund; see `dovetail merchant refund approve --help`."""
    return _decided(
        screen,
        refund_id,
        database,
        None if yes else "Pay this refund?",
        lambda opened, known: Refunds(opened).approve(known, by=audit.OWNER),
        "It is approved. Once the server has made its transaction, `dovetail merchant approve`"
        " shows it where the signer runs.",
    )


def decline(screen: Screen, *, refund_id: str, yes: bool, database: str | None) -> int:
    """Decline a refund; see `dovetail merchant refund decline --help`."""
    return _decided(
        screen,
        refund_id,
        database,
        None if yes else "Decline this refund?",
        lambda opened, known: Refunds(opened).decline(known, by=audit.OWNER),
        "It is declined: nothing is paid.",
    )


def _decided(
    screen: Screen,
    refund_id: str,
    database: str | None,
    question: str | None,
    decide: Callable[[Database, UUID], RefundRow],
    words: str,
) -> int:
    """Show a refund, ask, and decide."""
    known = _uuid(refund_id)
    if question is not None:
        require_somebody()
    home = context.home(tell=False)
    settings = merchant_parts.settings_of(home, database=database)
    with merchant_parts.open_database(home, settings) as opened:
        row = opened.read(lambda connection: refunds.refund(connection, known))
        if row is None:
            raise UsageError("No refund has this id: `dovetail merchant refund list` shows them.")
        screen.say(_line(row))
        if question is not None:
            confirm(question)
        decided = decide(opened, known)
    screen.result(decided.status.value)
    screen.emit(
        json_keys.MERCHANT_REFUND, {"refund": str(decided.id), "status": decided.status.value}
    )
    screen.say(words)
    return Exit.DONE


def _line(row: RefundRow) -> str:
    to = f" to {row.address}" if row.address else ""
    why = f". {Trouble(row.trouble).words}" if row.trouble else ""
    return f"{row.id}: {row.status}, {sats(int(row.amount))}{to}{why}"


def _values(row: RefundRow) -> dict[str, str | int | None]:
    return {
        "refund": str(row.id),
        "invoice": str(row.invoice_id),
        "status": row.status.value,
        "amount_sats": int(row.amount),
        "address": row.address,
        "reason": row.reason,
        "txid": row.txid,
        "trouble": row.trouble,
        "trouble_words": Trouble(row.trouble).words if row.trouble else "",
    }


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(
            "A refund's id is a UUID, as `dovetail merchant refund list` has it."
        ) from None
