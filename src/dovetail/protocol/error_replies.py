"""The receiver's error replies and their JSON (BIP 78, Receiver's well known errors)."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, cast

from dovetail.errors import InvalidMessage, UsageError

# One implementation sends its versions as a string that contains a list.
_LIST_AS_TEXT = re.compile(r"\[[0-9, ]*\]", re.ASCII)
_MAX_VERSION = 0xFFFF
_MAX_VERSIONS = 16


class ErrorCode(StrEnum):
    """The well-known error codes, as they are spelled on the wire."""

    UNAVAILABLE = "unavailable"
    NOT_ENOUGH_MONEY = "not-enough-money"
    VERSION_UNSUPPORTED = "version-unsupported"
    ORIGINAL_PSBT_REJECTED = "original-psbt-rejected"


_MESSAGES = {
    ErrorCode.UNAVAILABLE: "The receiver cannot make a payjoin now.",
    ErrorCode.NOT_ENOUGH_MONEY: "The receiver could not pay the fee of its inputs.",
    ErrorCode.VERSION_UNSUPPORTED: "The receiver does not support this version of payjoin.",
    ErrorCode.ORIGINAL_PSBT_REJECTED: "The receiver does not accept this Original PSBT.",
}


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The reason why the receiver makes no proposal.

    `code` is None if it is not a well-known one: the counterparty's texts are dropped, so that
    they can never be shown. `supported` are the receiver's versions, if it sent them.
    """

    code: ErrorCode | None
    supported: tuple[int, ...] = ()

    def serialize(self) -> bytes:
        """Write the JSON object: `errorCode`, `message` and, about a version, `supported`.

        Raises `UsageError` without a code.
        """
        if self.code is None:
            raise UsageError("An error reply needs a well-known code; choose one of ErrorCode.")
        fields: dict[str, object] = {"errorCode": self.code, "message": _MESSAGES[self.code]}
        if self.code is ErrorCode.VERSION_UNSUPPORTED:
            fields["supported"] = self.supported
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a JSON object with an `errorCode`; other fields may be missing or malformed.

        Raises `InvalidMessage` for anything else.
        """
        try:
            fields: object = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidMessage(
                "The receiver's error reply is not JSON; pay without payjoin."
            ) from error
        if not isinstance(fields, dict):
            raise InvalidMessage("The receiver's error reply is no object; pay without payjoin.")
        reply = cast("dict[str, object]", fields)
        code = reply.get("errorCode")
        if not isinstance(code, str):
            raise InvalidMessage("The receiver's error reply has no code; pay without payjoin.")
        if code not in _MESSAGES:
            return cls(None)
        if code != ErrorCode.VERSION_UNSUPPORTED:
            return cls(ErrorCode(code))
        return cls(ErrorCode.VERSION_UNSUPPORTED, _parse_versions(reply.get("supported")))


def _parse_versions(value: object) -> tuple[int, ...]:
    """Return the valid versions of a list; other values are dropped."""
    if isinstance(value, str) and _LIST_AS_TEXT.fullmatch(value):
        value = [int(number) for number in re.findall(r"[0-9]{1,5}", value)]
    if not isinstance(value, list):
        return ()
    items = cast("list[object]", value)
    versions = [item for item in items if type(item) is int and 0 < item <= _MAX_VERSION]
    return tuple(versions[:_MAX_VERSIONS])
