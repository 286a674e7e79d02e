"""How a sender's session begins (BIP 77, BIP 78)."""

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.units import UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import InvalidPsbt, UsageError
from dovetail.protocol.original import receiver_outputs
from dovetail.protocol.params import SenderParams
from dovetail.protocol.uri import PayjoinUri, V2Endpoint
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.posting import WithReplyKey
from dovetail.sessions.sender.settling import PendingFallback
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.transition import Transition

V1_PATIENCE = 600
"""Seconds a v1 receiver has to answer where the caller sets no end, as a v1 URI has none."""
LONGEST_WAIT = 30 * 86_400
"""The most seconds a payer waits for an answer, even if the URI allows more."""


def create(  # noqa: PLR0913 - facts, each by its name
    *,
    uri: PayjoinUri,
    original: Psbt,
    params: SenderParams,
    now: UnixTime,
    expires_at: UnixTime | None = None,
    signing_deadline: UnixTime | None = None,
    depth: int = 1,
    again: bool = False,
    height: int | None = None,
    entropy: Entropy = system,
) -> Transition[SenderEvent, WithReplyKey]:
    """Begin to pay `uri` with `original`, the signed payment that is owed in any case.

    `params` goes with it to the receiver; its version is set by the endpoint, and where the URI
    rules out output substitution (`pjos=0`), so does what the receiver is told. `expires_at` ends
    posting and polling earlier than the URI does; `signing_deadline` ends waiting for the
    wallet; `depth` is the number of confirmations that settle the session. `again` says that the
    address may have been paid before, which is no reason not to pay it. `height` is that of the
    best block when the coins were known to exist. A URI or receiver
    key is never used for a second session: the store refuses it.

    Raises `UsageError` when the URI has expired or `original` does not pay it in full, once, with
    a fee and whole signatures; `PayloadTooLarge` when `original` and `params` do not fit a
    message (BIP 77, Message A).
    """
    ends_at = _end(uri, expires_at, now)
    if depth < 1:
        raise UsageError("A payment settles after at least one confirmation; ask for a depth of 1.")
    is_v2 = isinstance(uri.endpoint, V2Endpoint)
    contribution = params.fee_contribution
    event = events.Created(
        uri=uri.serialize(),
        original=_finalized(original).serialize(),
        min_fee_rate=params.min_fee_rate.sat_per_kwu,
        fee_contribution=(
            None
            if contribution is None
            else (int(contribution.max_amount), contribution.output_index)
        ),
        output_substitution=params.output_substitution and uri.output_substitution,
        reply_key=SecretKey.generate(entropy=entropy).reveal() if is_v2 else None,
        created_at=now,
        expires_at=ends_at,
        signing_deadline=signing_deadline,
        depth=depth,
        again=again,
        height=height,
    )
    successor = on_created(event)
    terms = successor.terms
    _require_amount(uri, terms.disclosed)
    if is_v2:
        _ = terms.body  # raises where it would not fit
    return Transition(event, successor, seq=0)


def create_plain(
    *,
    request: BitcoinUri,
    original: Psbt,
    now: UnixTime,
    depth: int = 1,
    height: int | None = None,
) -> Transition[SenderEvent, PendingFallback]:
    """Begin to pay the address of `request` by `original`, signed, without a payjoin.

    The user thereby decided on it: save it, then broadcast `fallback_transaction`. It is kept,
    watched and broadcast again like the fallback of a payjoin (M3, M4). Raises `UsageError` when
    `original` pays less than `request` asks for, or is not signed in full.
    """
    if depth < 1:
        raise UsageError("A payment settles after at least one confirmation; ask for a depth of 1.")
    kept = BitcoinUri(request.address, request.amount, request.label, request.message)
    event = events.CreatedPlain(
        uri=kept.serialize(),
        original=_finalized(original).serialize(),
        created_at=now,
        depth=depth,
        height=height,
    )
    successor = on_created_plain(event)
    terms = successor.terms
    if not terms.due.paid_by(terms.fallback_transaction) or not terms.due.amount:
        raise UsageError("The payment pays less than was asked for; build it anew.")
    return Transition(event, successor, seq=0)


def on_created(event: events.Created) -> WithReplyKey:
    """The state after `Created`, live and in replay; raises where the event is not sound."""
    terms = Terms(event)
    terms.validate()
    return WithReplyKey(seq=1, terms=terms)


def on_created_plain(event: events.CreatedPlain) -> PendingFallback:
    """The state after `CreatedPlain`, live and in replay; raises where the event is not sound."""
    terms = Terms(event)
    terms.validate()
    return PendingFallback(
        seq=1,
        terms=terms,
        reason=Reason.PLAIN_PAYMENT,
        original_out=False,
        requested=True,
    )


def answer_until(uri: PayjoinUri, *, now: UnixTime) -> UnixTime:
    """When a payer of `uri` no longer waits, and pays without a payjoin.

    The URI's expiration, but no later than `LONGEST_WAIT` from now: a receiver who writes the year
    2106 cannot tie up the sender's coins until then.
    """
    if isinstance(uri.endpoint, V2Endpoint):
        return UnixTime(min(uri.endpoint.expires_at, now + LONGEST_WAIT))
    return UnixTime(now + V1_PATIENCE)


def _end(uri: PayjoinUri, wanted: UnixTime | None, now: UnixTime) -> UnixTime:
    latest = answer_until(uri, now=now)
    if isinstance(uri.endpoint, V2Endpoint):
        ends_at = latest if wanted is None else min(latest, wanted)
    else:
        ends_at = latest if wanted is None else wanted
    if now >= ends_at:
        raise UsageError("The Payjoin URI has expired; ask the receiver for a new one.")
    return ends_at


def _finalized(original: Psbt) -> Psbt:
    try:
        return original if original.is_finalized else original.finalize()
    except InvalidPsbt as error:
        raise UsageError(
            "The Original PSBT is not signed in full; have the wallet sign it first."
        ) from error


def _require_amount(uri: PayjoinUri, disclosed: Psbt) -> None:
    transaction = disclosed.unsigned_transaction
    (index,) = receiver_outputs(transaction, (uri.address.script_pubkey,))
    if uri.amount is not None and transaction.outputs[index].value < uri.amount:
        raise UsageError("The Original PSBT pays less than the URI asks for; build it anew.")
