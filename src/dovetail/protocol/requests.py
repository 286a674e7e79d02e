"""HTTP requests of both versions and their responses.

BIP 77, Client/Directory interactions (mailboxes behind OHTTP); BIP 78, Protocol (v1 over HTTP).
"""

from dataclasses import dataclass, replace
from typing import Literal

from dovetail.bitcoin.psbt import Psbt
from dovetail.crypto.bhttp import BhttpRequest, BhttpResponse
from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.ohttp import REQUEST_OVERHEAD, KeyConfig, ResponseContext, encapsulate
from dovetail.crypto.once import Once
from dovetail.errors import (
    DecryptionError,
    InvalidBhttp,
    InvalidMessage,
    InvalidOhttp,
    TransportError,
)
from dovetail.protocol.error_replies import ErrorReply
from dovetail.protocol.mailbox import ShortId, parse_base64_psbt
from dovetail.protocol.params import SenderParams

OHTTP_MESSAGE_SIZE = 8192
OHTTP_REQUEST_TYPE = "message/ohttp-req"
OHTTP_RESPONSE_TYPE = "message/ohttp-res"
GATEWAY_PATH = "/.well-known/ohttp-gateway"
V1_TYPE = "text/plain"
V1_BODY_LIMIT = 5_333_333
"""Bytes of the largest v1 body: a PSBT of 4 MB in base64."""

_PADDED_REQUEST_SIZE = OHTTP_MESSAGE_SIZE - REQUEST_OVERHEAD
_OK, _ACCEPTED, _CONFLICT = 200, 202, 409
_REDIRECTS = range(300, 400)
_WORTH_A_RETRY = frozenset({408, 425, 429})

Relay = str
"""The URL of an OHTTP relay."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """An HTTP POST that must be sent at most once; a retry needs a new one (P1).

    Only a v1 sender's request, which holds no ciphertext, may be sent again.
    """

    url: str
    content_type: str
    body: bytes

    def __repr__(self) -> str:
        return f"<Request with a body of {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True, repr=False)
class MailboxReply:
    """A directory's response inside OHTTP, with a status from 200 to 599."""

    status: int
    body: bytes

    def message(self) -> bytes | None:
        """Return the polled message, or None if the mailbox is empty; raises `TransportError`."""
        if self.status == _OK:
            return self.body
        if self.status == _ACCEPTED:
            return None
        raise self._refusal()

    def confirm_posted(self) -> None:
        """Return if a POST or PUT is in the mailbox; otherwise raise `TransportError`.

        409 means that an earlier attempt has already put the message there.
        """
        if self.status not in (_OK, _CONFLICT):
            raise self._refusal()

    @property
    def refused_for_good(self) -> bool:
        """Whether a retry is useless: a client error other than 408, 425 and 429.

        RFC 9110 §15.5, RFC 8470 §5.2, RFC 6585 §4.
        """
        return 400 <= self.status < 500 and self.status not in _WORTH_A_RETRY

    def _refusal(self) -> TransportError:
        return TransportError(f"The directory answered with status {self.status}; try again later.")

    def __repr__(self) -> str:
        return f"<MailboxReply {self.status} with a body of {len(self.body)} bytes>"


class OhttpContext:
    """Opens the only response to one request; it cannot be pickled or copied."""

    __slots__ = ("_once",)

    def __init__(self, context: ResponseContext) -> None:
        self._once = Once(context)

    def open(self, body: bytes) -> MailboxReply:
        """Decrypt the 8192-byte body of the response.

        Raises `TransportError` for any other body, which comes from the relay or the gateway, and
        `ContextUsedUp` on a second call, even if the first one failed.
        """
        context = self._once.take()
        if len(body) != OHTTP_MESSAGE_SIZE:
            raise TransportError(
                "The relay or gateway answered with an error of its own; try again, or use "
                "another relay."
            )
        try:
            response = BhttpResponse.parse(context.open(body))
        except (DecryptionError, InvalidBhttp, InvalidOhttp) as error:
            raise TransportError(
                "The directory's answer cannot be read; try again, or use another relay."
            ) from error
        return MailboxReply(response.status, response.body)


def post_to_mailbox(
    *,
    relay: Relay | None,
    directory: str,
    short_id: ShortId,
    ohttp_keys: KeyConfig,
    body: bytes,
    method: Literal["POST", "PUT"] = "POST",
    entropy: Entropy = system,
) -> tuple[Request, OhttpContext]:
    """Make a request that puts a message into a mailbox, through a relay or directly.

    Send the request once; the context opens the response. PUT replies to a v1 sender at the
    receiver's own mailbox. Raises `PayloadTooLarge` for a message that does not fit 8192 bytes.
    """
    return _encapsulated(relay, directory, short_id, ohttp_keys, method, body, entropy)


def poll_mailbox(
    *,
    relay: Relay | None,
    directory: str,
    short_id: ShortId,
    ohttp_keys: KeyConfig,
    entropy: Entropy = system,
) -> tuple[Request, OhttpContext]:
    """Make a request for the message in a mailbox, through a relay or directly.

    Send the request once and wait at least 40 s for the response; the context opens it.
    """
    return _encapsulated(relay, directory, short_id, ohttp_keys, "GET", b"", entropy)


def _encapsulated(
    relay: Relay | None,
    directory: str,
    short_id: ShortId,
    ohttp_keys: KeyConfig,
    method: str,
    body: bytes,
    entropy: Entropy,
) -> tuple[Request, OhttpContext]:
    scheme, _, authority = directory.partition("://")
    inner = BhttpRequest(method, scheme, authority, f"/{short_id}", body=body)
    padded = inner.serialize(_PADDED_REQUEST_SIZE, entropy=entropy)
    sealed, context = encapsulate(ohttp_keys, padded, entropy=entropy)
    # The relay learns the directory but not the mailbox. Other implementations add the slash too.
    url = f"{directory}{GATEWAY_PATH}" if relay is None else f"{relay.rstrip('/')}/{directory}/"
    return Request(url, OHTTP_REQUEST_TYPE, sealed), OhttpContext(context)


def v1_request(endpoint_url: str, psbt: Psbt, params: SenderParams) -> Request:
    """Make a request with the Original PSBT for a v1 receiver (BIP 78, Protocol).

    The parameters are added to the URL with `v=1`. If no response came, the same request may be
    sent again: a receiver that has it gives the same response, or refuses it as a replay. Never
    send another Original PSBT after it.
    """
    url = endpoint_url.partition("#")[0]
    query = replace(params, version=1).serialize()
    separator = "&" if "?" in url else "?"
    return Request(f"{url}{separator}{query}", V1_TYPE, psbt.to_base64().encode())


def read_v1_request(body: bytes, query: str) -> tuple[Psbt, SenderParams]:
    """Parse the body and the query of a v1 sender's request to our own endpoint.

    Raises `InvalidMessage` for a body that is not a PSBT in base64 or has more than 5333333 bytes,
    and its subclass `UnsupportedVersion`.
    """
    return _parse_v1_psbt(body), SenderParams.parse(query, default_version=1)


def v1_reply(status: int, body: bytes) -> Psbt | ErrorReply:
    """Parse a v1 receiver's response: the Proposal PSBT, or an error reply with any status.

    Raises `InvalidMessage` if it is neither, or `TransportError` if the status is an error too:
    then a proxy or web server sent it.
    """
    try:
        if body.lstrip().startswith(b"{"):
            return ErrorReply.parse(body)
        if status == _OK:
            return _parse_v1_psbt(body)
    except InvalidMessage:
        if status == _OK:
            raise
    if status in _REDIRECTS:
        raise TransportError(
            f"The receiver's server redirects to another address (status {status}), which "
            "payments do not follow: tell the receiver.",
            at="receiver",
        )
    raise TransportError(
        f"The receiver's server answered with status {status}; try again later.", at="receiver"
    )


def _parse_v1_psbt(body: bytes) -> Psbt:
    if len(body) > V1_BODY_LIMIT:
        raise InvalidMessage("The message is too large for a PSBT; pay without payjoin.")
    return parse_base64_psbt(body)
