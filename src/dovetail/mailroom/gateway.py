"""The OHTTP gateway: decapsulates requests and encapsulates responses (RFC 9458, RFC 9540)."""

import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

from dovetail.crypto.bhttp import BhttpRequest, BhttpResponse
from dovetail.crypto.ohttp import (
    RESPONSE_OVERHEAD,
    OtherSuite,
    ReplyContext,
    UnknownKeyId,
    decapsulate,
)
from dovetail.errors import (
    DecryptionError,
    InvalidBhttp,
    InvalidOhttp,
    StoreUnavailable,
)
from dovetail.mailroom.directory import Directory
from dovetail.mailroom.keys import KeyRing
from dovetail.protocol.requests import (
    OHTTP_MESSAGE_SIZE,
    OHTTP_REQUEST_TYPE,
    OHTTP_RESPONSE_TYPE,
)
from dovetail.serving.asgi import (
    Receive,
    Scope,
    caught,
    disconnected,
    header,
    media_type,
    read_body,
)
from dovetail.serving.client_shares import Client, Clients
from dovetail.serving.responses import (
    OHTTP_KEY_PROBLEM,
    Response,
    cached,
    out_of_order,
    problem,
    typed,
)

SELF_LOOP_HEADER = b"x-ohttp-self-loop-tag"
KEYS_TYPE = "application/ohttp-keys"
PURPOSES_TYPE = "application/x-ohttp-allowed-purposes"
BIP77_PURPOSE = b"BIP77 454403bb-9f7b-4385-b31f-acd2dae20b7e"
KEYS_GOOD_FOR = 86_400
"""Seconds for which a cache may keep the key: much less than a key stays valid."""

STANDARD = b"standard"
"""The name in a query that asks for the form of the standard instead of the one peers read."""

_NAMED = bytes((len(BIP77_PURPOSE),)) + BIP77_PURPOSE
_PURPOSES = b"\x00\x01" + _NAMED  # peers read the u16 as a count
_STANDARD_PURPOSES = len(_NAMED).to_bytes(2) + _NAMED  # BIP 77, as in a TLS ALPN list: a length
_PADDED_RESPONSE_SIZE = OHTTP_MESSAGE_SIZE - RESPONSE_OVERHEAD
_FAULT = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The mailroom failed; try again.")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

Admit: TypeAlias = Callable[[BhttpRequest], Awaitable[Response | None]]
"""Looks at a request that was opened, and returns None, or the refusal that the client gets inside
of OHTTP: such as 401 for one without an unlinkable token (BIP 77)."""

_log = logging.getLogger(__name__)


class Gateway:
    """Opens requests, passes them to the directory, and seals the responses."""

    def __init__(
        self,
        keys: KeyRing,
        directory: Directory,
        clients: Clients,
        *,
        own_tag: bytes | None,
        read_timeout: float,
        admit: Admit | None = None,
    ) -> None:
        """Refuse requests that our own relay marked with `own_tag`; None is for local use.

        `admit` may refuse requests; without it all are answered.
        """
        self._admit = admit
        self._keys = keys
        self._directory = directory
        self._clients = clients
        self._own_tag = own_tag
        self.read_timeout = read_timeout
        """Seconds for a client to send a request; it may change."""

    def describe(self, query: bytes) -> Response:
        """Return the key configuration, or the allowed purposes if the query asks for them.

        Each is in the form that peers read, or in its standard's if the query asks for `STANDARD`.
        """
        names = _names(query)
        if b"allowed_purposes" not in names:
            return self.describe_keys(query)
        purposes = _STANDARD_PURPOSES if STANDARD in names else _PURPOSES
        return cached(typed(PURPOSES_TYPE, purposes), KEYS_GOOD_FOR)

    def describe_keys(self, query: bytes) -> Response:
        """Return the key configuration: bare, or as RFC 9458's list (§3.2) for `STANDARD`."""
        served = self._keys.served
        if STANDARD in _names(query):
            served = len(served).to_bytes(2) + served
        return cached(typed(KEYS_TYPE, served), KEYS_GOOD_FOR)

    async def relay(self, scope: Scope, receive: Receive) -> Response:
        """Answer a POST. Errors before the request is decapsulated are sent in the clear."""
        if (refusal := self._refuse(scope)) is not None:
            return refusal
        body = await read_body(
            scope, receive, limit=OHTTP_MESSAGE_SIZE, seconds=self.read_timeout, exactly=True
        )
        if isinstance(body, Response):
            return body
        try:
            message, context = decapsulate(self._keys.accepted, body)
        except (UnknownKeyId, OtherSuite, DecryptionError):
            return problem(
                HTTPStatus.BAD_REQUEST,
                "The request is for a key this gateway does not hold; fetch its key again.",
                kind=OHTTP_KEY_PROBLEM,
            )
        except InvalidOhttp:
            return problem(
                HTTPStatus.BAD_REQUEST,
                "The body is not an OHTTP request in BIP 77's suite; send one.",
            )
        answer = self._answer(message, receive, self._clients.of(scope))
        # Whatever goes wrong from here on is told inside (RFC 9458 §5.2).
        return _seal(context, await caught(answer, store=out_of_order(), fault=_FAULT))

    def _refuse(self, scope: Scope) -> Response | None:
        tag = header(scope, SELF_LOOP_HEADER)
        if tag is not None and self._own_tag and hmac.compare_digest(tag, self._own_tag):
            return problem(
                HTTPStatus.FORBIDDEN,
                "Relay and gateway are the same server, which gives no privacy; use another relay.",
            )
        if media_type(scope) != OHTTP_REQUEST_TYPE.encode():
            return problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be {OHTTP_REQUEST_TYPE}."
            )
        return None

    async def _answer(self, message: bytes, receive: Receive, client: Client | None) -> Response:
        try:
            request = BhttpRequest.parse(message)
            if not _names_a_resource(request):
                return problem(
                    HTTPStatus.BAD_REQUEST, "The request names no URL; send its scheme and path."
                )
            if _expects_to_continue(request):
                return problem(
                    HTTPStatus.EXPECTATION_FAILED,
                    "OHTTP allows one response to a request; send it without an expectation.",
                )
            refusal = None if self._admit is None else await self._admit(request)
            if refusal is not None:
                return refusal
            return await self._directory.answer(request, lambda: disconnected(receive), client)
        except InvalidBhttp:
            return problem(
                HTTPStatus.BAD_REQUEST, "The request is not Binary HTTP; send Binary HTTP."
            )
        except StoreUnavailable as error:
            _log.error("A mailbox could not be served: %s", error)
            return out_of_order()


def _names(query: bytes) -> set[bytes]:
    return {part.partition(b"=")[0] for part in query.split(b"&")}


def _names_a_resource(request: BhttpRequest) -> bool:
    """Whether scheme and path are as HTTP/2 asks (RFC 9292 §3.4, RFC 9113 §8.3.1)."""
    if not _SCHEME.fullmatch(request.scheme):
        return False
    return request.path.startswith("/") or (request.method, request.path) == ("OPTIONS", "*")


def _expects_to_continue(request: BhttpRequest) -> bool:
    """Whether the client waits for a 100 (Continue), which OHTTP cannot carry (RFC 9458 §5.1)."""
    return any(
        name == "expect" and "100-continue" in value.lower() for name, value in request.headers
    )


def _seal(context: ReplyContext, answer: Response) -> Response:
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers
    )
    response = BhttpResponse(answer.status, headers, answer.body)
    # Zeros, as RFC 9292 asks (§3.8): BIP 77 wants random bytes in requests, for a relay's sake.
    padded = response.serialize(_PADDED_RESPONSE_SIZE, entropy=bytes)
    return typed(OHTTP_RESPONSE_TYPE, context.seal(padded))
