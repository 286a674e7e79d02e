"""Events as tagged JSON, one object an entry: `{"v":1,"event":"Created",…}`.

The policy. A new field is optional and has a default, so that old logs still read. An unknown
field, an unknown tag and a newer version are refused: a log is read whole or not at all. A
change that a default cannot bridge raises the version and brings an upcaster, which turns the
JSON object of version n into that of n + 1; logs are never rewritten. Every version ever
released is kept under `tests/eventlogs`.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from dovetail.errors import ReplayError

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns an entry of one version (its tag under "event", no "v") into one of the next."""


class SessionEvent(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag=True,
    tag_field="event",
):
    """A past-tense fact of one session. Its repr shows no value (P4)."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


_DAMAGED = (
    "A field is missing, unknown or damaged; upgrade Dovetail, or restore the log from a backup."
)

EventT = TypeVar("EventT", bound=SessionEvent)


class EventCodec(Generic[EventT]):
    """One role's events, to and from the bytes a store keeps."""

    __slots__ = ("_decoder", "_encoder", "_events", "_head", "_tags", "_upcasters", "_version")

    def __init__(
        self,
        events: Any,
        *,
        version: int = 1,
        upcasters: Mapping[int, Upcaster] = MappingProxyType({}),
    ) -> None:
        """`events` is the union of the role's event classes, or the only one.

        `upcasters[n]` lifts an entry of version n, for every n from 1 below `version`.
        """
        self._events = events
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[EventT] = msgspec.json.Decoder(events)
        self._head = b'{"v":%d,' % version
        self._tags = tuple(kind.__name__ for kind in get_args(events) or (events,))
        self._upcasters = upcasters
        self._version = version

    def encode(self, event: EventT) -> bytes:
        """One JSON object in the newest version, without a line end."""
        return self._head + self._encoder.encode(event)[1:]

    def decode(self, entry: bytes) -> EventT:
        """The event of one entry; raises `ReplayError` with the cause, never with its content."""
        if entry.startswith(self._head):
            try:
                return self._decoder.decode(b"{" + entry[len(self._head) :])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # read again below, slowly, to say why
        return self._decode_otherwise(entry)

    def tag_of(self, entry: bytes, event: EventT) -> str:
        """The tag under which `event` was written in `entry`; an older version may use another."""
        if entry.startswith(self._head):
            return type(event).__name__
        return str(_json_object(entry)["event"])

    def decode_log(self, entries: Iterable[bytes]) -> tuple[EventT, ...]:
        """A whole log, in order; a `ReplayError` names the entry by its number from 0."""
        events: list[EventT] = []
        for seq, entry in enumerate(entries):
            try:
                events.append(self.decode(entry))
            except ReplayError as error:
                raise ReplayError(
                    f"Entry {seq} of the log cannot be read. {error}", seq=seq
                ) from error
        return tuple(events)

    def _decode_otherwise(self, entry: bytes) -> EventT:
        fields = _json_object(entry)
        version = fields.pop("v", None)
        if type(version) is not int or version < 1:
            raise ReplayError("It carries no version; restore the log from a backup.")
        if version > self._version:
            raise ReplayError(
                f"It was written by a newer release (version {version}); upgrade Dovetail to read"
                " this session."
            )
        try:
            for old in range(version, self._version):
                fields = self._upcasters[old](fields)
        except (LookupError, TypeError, ValueError) as error:
            raise ReplayError(_DAMAGED) from error
        if fields.get("event") not in self._tags:
            raise ReplayError(
                "Its kind is unknown to this release; upgrade Dovetail, or restore the log from"
                " a backup."
            )
        try:
            return cast("EventT", msgspec.convert(fields, self._events))
        except (msgspec.ValidationError, RecursionError) as error:
            raise ReplayError(_DAMAGED) from error


def _json_object(entry: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(entry, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReplayError("It is not a JSON object; restore the log from a backup.") from error
