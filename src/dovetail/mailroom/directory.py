"""The directory: mailbox requests inside OHTTP, and v1 senders outside of it (BIP 77)."""

from http import HTTPStatus

from dovetail.crypto.bhttp import BhttpRequest
from dovetail.errors import InvalidMessage
from dovetail.mailroom.long_polls import LongPolls, PollRefusal
from dovetail.mailroom.mailboxes import Mailboxes, Posted
from dovetail.mailroom.refusal_log import Refusals
from dovetail.mailroom.v1 import Gone, V1Senders
from dovetail.protocol.mailbox import MESSAGE_SIZE, ShortId
from dovetail.serving.client_shares import Client
from dovetail.serving.responses import Response, not_found, problem, wrong_method

_OK = Response(HTTPStatus.OK)
_NOTHING_YET = Response(HTTPStatus.ACCEPTED)


class Directory:
    """Answers requests for mailboxes.

    Peers end a session on any 4xx, so a well-formed request gets 200, 202 or 503. The only
    exception is the reply to a v1 sender that has gone: it gets 410.
    """

    def __init__(
        self, mailboxes: Mailboxes, waits: LongPolls, v1: V1Senders | None, refusals: Refusals
    ) -> None:
        """If `v1` is None, only encrypted messages are accepted."""
        self._mailboxes = mailboxes
        self._waits = waits
        self._v1 = v1
        self._refusals = refusals

    async def answer(
        self, request: BhttpRequest, gone: Gone, client: Client | None = None
    ) -> Response:
        """Answer a decapsulated request; raises `StoreUnavailable`.

        `client` is the client that connected: the relay, for a request through a relay.
        """
        short_id = mailbox_of(request.path)
        if short_id is None:
            return not_found()
        match request.method:
            case "GET":
                return await self._fetch(short_id, gone, client)
            case "POST":
                return await self._post(short_id, request.body, client)
            case "PUT" if self._v1 is not None:
                return self._v1.reply(short_id, request.body)
            case _:
                return wrong_method("GET", "POST")

    async def post_plaintext(
        self, short_id: ShortId, body: bytes, query: bytes, gone: Gone, client: Client | None
    ) -> Response:
        """Take a BIP 78 request and wait for the proposal; raises `StoreUnavailable`."""
        if self._v1 is None:
            return V1Senders.unsupported()
        if self._mailboxes.read(short_id) is not None:
            return V1Senders.unavailable()
        return await self._v1.ask(short_id, body, query, gone, self._waits.wake, client)

    def refuse_plaintext(self, refusal: Response) -> Response:
        """Turn the refusal of a BIP 78 request into an error that v1 senders understand."""
        if self._v1 is None:
            return V1Senders.unsupported()
        if refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return V1Senders.too_large(refusal)
        return refusal

    async def _fetch(self, short_id: ShortId, gone: Gone, client: Client | None) -> Response:
        message = self._v1.message(short_id) if self._v1 is not None else None
        if message is None:
            message = self._mailboxes.read(short_id)
        if message is not None:
            return _found(message)
        match await self._waits.wait(short_id, gone(), client):
            case None:
                return _NOTHING_YET
            case PollRefusal():
                return self._refusals.overloaded("long polls")
            case bytes(message):
                return _found(message)

    async def _post(self, short_id: ShortId, message: bytes, client: Client | None) -> Response:
        if not 0 < len(message) <= MESSAGE_SIZE:
            return problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if message else HTTPStatus.BAD_REQUEST,
                f"A message has {MESSAGE_SIZE} bytes; send one.",
            )
        match await self._mailboxes.post(short_id, message, client):
            case Posted.KEPT:
                self._waits.wake(short_id, message)
                return _OK
            case Posted.OCCUPIED:
                # An honest retry always has other bytes (P1), so this is not an error.
                return _OK
            case Posted.FULL:
                return self._refusals.overloaded("new mailboxes")
            case Posted.BUSY:
                return self._refusals.overloaded("messages being written")


def mailbox_of(path: str) -> ShortId | None:
    """Return the mailbox that a path names, or None."""
    try:
        return ShortId.parse(path[1:]) if path.startswith("/") else None
    except InvalidMessage:
        return None


def _found(message: bytes) -> Response:
    return Response(HTTPStatus.OK, body=message)
