"""BIP 78 senders at a directory: plaintext and synchronous (BIP 77, Backwards compatibility)."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from dovetail.mailroom.long_polls import LongPolls, PollRefusal
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.requests import V1_TYPE
from dovetail.serving.client_shares import Client
from dovetail.serving.responses import Response, problem, typed

BODY_LIMIT = 8_100
"""Bytes of Original PSBT and query together; they fit the receiver's 8144-byte response."""

Gone = Callable[[], Awaitable[None]]
"""Waits until the client has gone."""
Notify = Callable[[ShortId, bytes], None]
"""Gives a message to the polls of its mailbox."""

_JSON = "application/json"
_REMEMBERED = 1_024


class V1Senders:
    """v1 senders that wait for the receiver's proposal.

    Their messages are not encrypted, so they are kept only in memory and only while the sender
    waits. A second sender at the same mailbox gets `unavailable`, unless it repeats the same
    bytes.
    """

    def __init__(self, waits: LongPolls) -> None:
        """`waits` holds the senders, not the receivers."""
        self._waits = waits
        self._messages: dict[ShortId, tuple[bytes, int]] = {}
        self._answered: OrderedDict[ShortId, None] = OrderedDict()

    @property
    def waiting(self) -> LongPolls:
        """The waits of the senders."""
        return self._waits

    def message(self, short_id: ShortId) -> bytes | None:
        """Return the message of a waiting sender, which stays in the mailbox."""
        held = self._messages.get(short_id)
        return None if held is None else held[0]

    async def ask(
        self,
        short_id: ShortId,
        body: bytes,
        query: bytes,
        gone: Gone,
        notify: Notify,
        client: Client | None = None,
    ) -> Response:
        """Show the Original PSBT to the receiver, `notify` its polls, and wait for the answer."""
        message = body.strip() + b"\n" + query
        if not body.strip() or not message.isascii() or len(message) > BODY_LIMIT:
            return _error(ErrorCode.ORIGINAL_PSBT_REJECTED, HTTPStatus.BAD_REQUEST)
        if self._messages.get(short_id, (message, 0))[0] != message:
            return self.unavailable()
        return await self._hold(short_id, message, gone, notify, client)

    async def _hold(
        self, short_id: ShortId, message: bytes, gone: Gone, notify: Notify, client: Client | None
    ) -> Response:
        shown = False

        def show() -> None:
            nonlocal shown
            shown = True
            senders = self._messages.get(short_id, (message, 0))[1]
            self._messages[short_id] = (message, senders + 1)
            notify(short_id, message)

        try:
            reply = await self._waits.wait(short_id, gone(), client, admitted=show)
        finally:
            if shown:
                self._leave(short_id)
        if reply is None or isinstance(reply, PollRefusal):
            return self.unavailable()
        return typed(_JSON if reply.lstrip().startswith(b"{") else V1_TYPE, reply)

    def reply(self, short_id: ShortId, reply: bytes) -> Response:
        """Pass the receiver's proposal or error to the sender, if it still waits.

        If the sender has gone, the answer is a final 410. A repeated reply to a sender that was
        answered gets 200.
        """
        if not reply:
            return problem(HTTPStatus.BAD_REQUEST, "The reply is empty; send the proposal.")
        if short_id in self._messages:
            self._waits.wake(short_id, reply)
            self._answered[short_id] = None
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        elif short_id not in self._answered:
            return problem(
                HTTPStatus.GONE,
                "The sender no longer waits; broadcast its Original PSBT's transaction.",
            )
        return Response(HTTPStatus.OK)

    @staticmethod
    def unavailable() -> Response:
        """Return 503 for a sender that got no answer."""
        return _error(ErrorCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE)

    @staticmethod
    def too_large(refusal: Response) -> Response:
        """Return 413 for an Original PSBT that is too large, closing as `refusal` does."""
        rejected = _error(ErrorCode.ORIGINAL_PSBT_REJECTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        ending = tuple(line for line in refusal.headers if line[0] == b"connection")
        return Response(rejected.status, rejected.headers + ending, rejected.body)

    @staticmethod
    def unsupported() -> Response:
        """Return 400 if v1 senders are not accepted."""
        reply = ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (2,))
        return typed(_JSON, reply.serialize(), status=HTTPStatus.BAD_REQUEST)

    def _leave(self, short_id: ShortId) -> None:
        message, senders = self._messages.pop(short_id)
        if senders > 1:
            self._messages[short_id] = (message, senders - 1)


def _error(code: ErrorCode, status: HTTPStatus) -> Response:
    return typed(_JSON, ErrorReply(code).serialize(), status=status)
