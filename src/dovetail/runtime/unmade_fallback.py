"""Whether a payer's fallback is still to be made."""

from dovetail.actions import Action
from dovetail.errors import ChainError, UsageError
from dovetail.runtime.chain_queries import NOTHING
from dovetail.runtime.turn import SenderTurn
from dovetail.sessions import sender
from dovetail.sessions.other_payments import Receipt, Receipts

PAID_BESIDE = (
    "The address was paid that amount already, by another transaction: Dovetail does not make the"
    " ordinary payment without you. Pay anyway, or decline it."
)


async def require_unpaid(session: sender.PendingFallback, turn: SenderTurn) -> None:
    """Raise `UsageError` where the policy would pay an invoice that is paid already (M4).

    Another wallet of the payer's, or anybody, may have paid it: only the user can tell.
    """
    if await is_paid_beside(session, turn):
        raise UsageError(PAID_BESIDE, actions=(Action.FALLBACK, Action.RELEASE))


async def is_paid_beside(session: sender.SenderSession, turn: SenderTurn) -> bool:
    """Whether other transactions have paid the invoice in full; `watch` keeps it.

    False where the user has insisted on a second payment. A chain source that does not answer
    does not prevent paying.
    """
    received = await _received_beside(session, turn)
    if received.full:
        asked = session.terms.request.amount
        turn.watch.see_received(received, wanted=session.created.depth, asked=asked)
    return received.full


async def _received_beside(session: sender.SenderSession, turn: SenderTurn) -> Receipts:
    created, asked = session.created, session.terms.request.amount
    if asked is None or getattr(created, "again", False):
        return NOTHING
    known = (
        getattr(session, "payjoin", None),
        session.fallback_transaction,
        session.terms.fallback_transaction,
    )
    own = {each.txid for each in known if each is not None}
    proposal = getattr(session, "proposal", None)
    if proposal is not None:
        own.add(proposal.unsigned_transaction.txid)
    try:
        found = await turn.chain.payments_to(session.terms.due.payee)
    except ChainError:
        return NOTHING
    beside = (Receipt(each.txid, each.amount, each.depth) for each in found if each.txid not in own)
    return Receipts.of(beside, asked=asked)
