"""The payjoin session of an invoice, as the API shows it: its timeline, and why no payjoin."""

from dovetail.bitcoin import UnixTime
from dovetail.errors import DovetailError, SessionNotFound
from dovetail.explain import explain_stored, meaning
from dovetail.merchant import messages
from dovetail.merchant.api import views
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import Store

NO_SESSION = "The invoice has no payjoin session."


def session_view(store: Store, row: InvoiceRow, now: UnixTime) -> messages.SessionView:
    """The session of an invoice; one that cannot be read says so."""
    offer = views.offer(row)
    if row.session_id is None:
        return messages.SessionView(payjoin=offer, words=offer.words or NO_SESSION)
    try:
        stored = store.stored(row.session_id)
        state = load_session(store, row.session_id)
    except SessionNotFound:
        return messages.SessionView(payjoin=offer, words="Its session was deleted after its time.")
    except DovetailError as error:
        return messages.SessionView(payjoin=offer, words=str(error))
    told = explain_stored(state, stored.row, now, ask=not row.terms.broadcasts_fallback)
    return messages.SessionView(
        payjoin=offer,
        status=told.status.value,
        words=told.words,
        outcome=told.outcome,
        reason=None if told.reason is None else told.reason.value,
        reason_words=told.reason_words,
        txid=told.txid,
        expires_at=int(told.expires_at),
        steps=tuple(
            messages.SessionStep(
                number=number,
                kind=entry.tag,
                words=meaning(stored.row.role, entry.tag, entry.data),
            )
            for number, entry in enumerate(stored.events, 1)
        ),
    )
