"""Responses to v1 senders (BIP 78, Protocol; Receiver's well known errors)."""

from http import HTTPStatus

from dovetail.bitcoin.psbt import Psbt
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.params import SenderParams
from dovetail.protocol.requests import V1_TYPE
from dovetail.serving.responses import Response, typed
from dovetail.sessions import receiver
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.receiver.replying import error_code

JSON = "application/json"


def refusal(
    code: ErrorCode,
    *,
    status: int | None = None,
    supported: tuple[int, ...] = (),
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Response:
    """Return an error reply, with a given status or the usual one of its code."""
    if status is None:
        gone = code is ErrorCode.UNAVAILABLE
        status = HTTPStatus.SERVICE_UNAVAILABLE if gone else HTTPStatus.BAD_REQUEST
    answer = typed(JSON, ErrorReply(code, supported).serialize(), status=status)
    return Response(answer.status, (*answer.headers, *headers), answer.body)


def unavailable(status: int | None = None) -> Response:
    """Return `unavailable`: no payjoin is possible here now."""
    return refusal(ErrorCode.UNAVAILABLE, status=status)


def answer_of(state: ReceiverSession) -> Response | None:
    """Return the answer to the sender of the session's Original PSBT; None if there is none yet.

    The answer is durable: the proposal in `FinalizedProposal`, an error as a reason.
    """
    match state:
        case receiver.PayjoinProposal():
            return typed(V1_TYPE, state.v1_body)
        case receiver.HasReplyableError():
            return refusal(state.error.code or ErrorCode.UNAVAILABLE)
        case receiver.Monitor(reason=None, paid_by=(), finalized=finalized) if (
            finalized is not None
        ):
            return typed(V1_TYPE, finalized.psbt.to_base64().encode())
        case receiver.PendingFallback() | receiver.Monitor() | receiver.Closed():
            return unavailable() if state.reason is None else refusal(error_code(state.reason))
        case _:
            return None


def refused_before(state: ReceiverSession, psbt: Psbt) -> Response | None:
    """Return the answer if an open session has refused this Original PSBT before, or None."""
    reason = state.refusal(psbt.serialize()) if isinstance(state, receiver.Initialized) else None
    return None if reason is None else refusal(error_code(reason))


def holds(state: ReceiverSession, psbt: Psbt, params: SenderParams) -> bool:
    """Whether the session holds this Original PSBT with the same parameters."""
    payload = state.held if isinstance(state, receiver.HasReplyableError) else None
    payload = payload or getattr(state, "payload", None)
    return payload is not None and (payload.original, payload.params) == (psbt, params)
