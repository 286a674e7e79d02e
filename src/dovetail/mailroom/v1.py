"""BIP 78 senders at a directory: plaintext, synchronous (BIP 77, Backwards compatibility)."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from dovetail.mailroom.long_polls import LongPolls, PollRefused
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.requests import V1_TYPE
from dovetail.serving.client_shares import Client
from dovetail.serving.responses import Response, problem, typed

BODY_LIMIT = 8_100
"""Bytes of Original and query together; the receiver gets them inside 8144."""

Gone = Callable[[], Awaitable[None]]
"""Returns when the client has gone."""
Tell = Callable[[ShortId, bytes], None]
"""Hands a message to those who poll its mailbox."""

_JSON = "application/json"
_REMEMBERED = 1_024


class V1Senders:
    """Senders who wait here for the receiver's proposal.

    What they sent is not encrypted, so it stays in memory and only while they wait. A second
    sender for the same mailbox is told that the receiver is unavailable, unless it repeats the
    same bytes.
    """

    def __init__(self, waits: LongPolls) -> None:
        """`waits` holds the senders, not the receivers."""
        self._waits = waits
        self._messages: dict[ShortId, tuple[bytes, int]] = {}
        self._answered: OrderedDict[ShortId, None] = OrderedDict()

    @property
    def waiting(self) -> LongPolls:
        """The senders who wait."""
        return self._waits

    def message(self, short_id: ShortId) -> bytes | None:
        """What a waiting sender put into this mailbox; reading does not consume."""
        held = self._messages.get(short_id)
        return None if held is None else held[0]

    async def ask(
        self,
        short_id: ShortId,
        body: bytes,
        query: bytes,
        gone: Gone,
        tell: Tell,
        client: Client | None = None,
    ) -> Response:
        """Show the Original to the receiver (`tell` those who poll) and wait for the answer."""
        message = body.strip() + b"\n" + query
        if not body.strip() or not message.isascii() or len(message) > BODY_LIMIT:
            return _error(ErrorCode.ORIGINAL_PSBT_REJECTED, HTTPStatus.BAD_REQUEST)
        if self._messages.get(short_id, (message, 0))[0] != message:
            return self.unavailable()
        return await self._hold(short_id, message, gone, tell, client)

    async def _hold(
        self, short_id: ShortId, message: bytes, gone: Gone, tell: Tell, client: Client | None
    ) -> Response:
        shown = False

        def show() -> None:
            nonlocal shown
            shown = True
            senders = self._messages.get(short_id, (message, 0))[1]
            self._messages[short_id] = (message, senders + 1)
            tell(short_id, message)

        try:
            reply = await self._waits.wait(short_id, gone(), client, admitted=show)
        finally:
            if shown:
                self._leave(short_id)
        if reply is None or isinstance(reply, PollRefused):
            return self.unavailable()
        return typed(_JSON if reply.lstrip().startswith(b"{") else V1_TYPE, reply)

    def reply(self, short_id: ShortId, reply: bytes) -> Response:
        """Hand the receiver's proposal or error to the sender, if it still waits.

        A sender who has gone is final: 410. A repeated reply to one who was answered is not.
        """
        if not reply:
            return problem(HTTPStatus.BAD_REQUEST, "The reply is empty; send the proposal.")
        if short_id in self._messages:
            self._waits.wake(short_id, reply)
            self._answered[short_id] = None
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        elif short_id not in self._answered:
            return problem(HTTPStatus.GONE, "The sender no longer waits; broadcast its original.")
        return Response(HTTPStatus.OK)

    @staticmethod
    def unavailable() -> Response:
        """503 for a sender whom nobody answered."""
        return _error(ErrorCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE)

    @staticmethod
    def too_large(refusal: Response) -> Response:
        """413 for an Original that no receiver could be shown; `refusal` may end the connection."""
        rejected = _error(ErrorCode.ORIGINAL_PSBT_REJECTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        ending = tuple(line for line in refusal.headers if line[0] == b"connection")
        return Response(rejected.status, rejected.headers + ending, rejected.body)

    @staticmethod
    def unsupported() -> Response:
        """400 where v1 senders are not taken."""
        reply = ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (2,))
        return typed(_JSON, reply.serialize(), status=HTTPStatus.BAD_REQUEST)

    def _leave(self, short_id: ShortId) -> None:
        message, senders = self._messages.pop(short_id)
        if senders > 1:
            self._messages[short_id] = (message, senders - 1)


def _error(code: ErrorCode, status: HTTPStatus) -> Response:
    return typed(_JSON, ErrorReply(code).serialize(), status=status)
