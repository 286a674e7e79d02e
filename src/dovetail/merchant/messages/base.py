"""What all messages have in common: strict requests, tolerant answers, pages and problems."""

from typing import Annotated, Generic, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

from dovetail.bitcoin.units import MAX_SATS

T = TypeVar("T")

END = r"$(?!\n)"
"""The end of a pattern; `$` alone would allow a line feed after it."""

PLAIN = rf"^[^\x00-\x1f\x7f]*{END}"
"""The pattern of a text in one line."""

Amount = Annotated[int, Meta(ge=1, le=MAX_SATS, description="An amount in satoshis.")]
Sum = Annotated[int, Meta(ge=0, le=MAX_SATS, description="An amount in satoshis, or 0.")]
Seconds = Annotated[int, Meta(ge=0, description="Seconds since 1970 in UTC.")]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=PLAIN)]
"""A name for people, in one line."""
Line = Annotated[str, Meta(max_length=200, pattern=PLAIN)]
"""A short text in one line."""
_HOST = r"(\[[0-9A-Fa-f:.]{2,45}\]|[^\x00-\x20\x7f\[\]/?#@:\\]+)"
_PORT = "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
_REST = r"([/?#][^\x00-\x20\x7f]*)?"
Url = Annotated[
    str,
    Meta(max_length=2000, pattern=f"^https?://{_HOST}{_PORT}{_REST}{END}", description="A URL."),
]
"""A URL of http or https, without a user and a password."""
APP = r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+"
"""The pattern of an app's own scheme: a domain name backwards, as `org.example.till` (RFC 8252,
section 7.1). No scheme of a browser has a dot."""
Back = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=rf"^(https?://{_HOST}{_PORT}{_REST}|{APP}:[^\x00-\x20\x7f]*){END}",
        description="A URL, or the address of an app that has a scheme of its own.",
    ),
]
"""Where a customer returns to: a URL, or an app's address such as `org.example.till:/orders/7`."""
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + END)]
"""32 bytes in hexadecimal; a txid in the usual reversed order."""

MAX_PAGE = 200
"""The most entries of one page."""


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body. A field that is not known is refused: it may be a spelling mistake.

    The repr shows no field (P4).
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Answer(Struct, frozen=True, kw_only=True):
    """An answer's body. Clients ignore fields that they do not know: later releases add some.

    The repr shows the id alone (P4).
    """

    def __repr__(self) -> str:
        told = getattr(self, "id", "")
        return f"<{type(self).__name__} {told}>" if told else f"<{type(self).__name__}>"


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """A part of a list, in the list's order."""

    items: tuple[T, ...]
    cursor: str | None = None
    """Give it as `cursor` to get the next page; None: this is the last one."""


class FieldError(Answer, frozen=True, kw_only=True):
    """One field of a request that is wrong."""

    field: str
    """Its name; nested ones are joined by dots. `body` is the body as a whole."""
    message: str


class Problem(Answer, frozen=True, kw_only=True):
    """Why a request was refused or failed (RFC 9457, `application/problem+json`)."""

    type: str
    """A URN that programs may rely on, such as `urn:dovetail:problem:not-found`."""
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    """What happened and what to do next, in a sentence or two."""
    request_id: UUID | None = None
    """The request's id, which the server's log names too."""
    errors: tuple[FieldError, ...] = ()
    """The fields that are wrong."""

    def __repr__(self) -> str:
        return f"<Problem {self.status} {self.type}>"
