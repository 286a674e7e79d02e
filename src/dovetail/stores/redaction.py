"""Log entries for other people, without secret keys."""

from typing import Any, cast

import msgspec

from dovetail.stores.stored_event import StoredEvent

WITHHELD = "withheld"


def legible(entry: StoredEvent) -> str | None:
    """Return the text of an entry without its keys, or None if that is not certain."""
    try:
        value = msgspec.json.decode(entry.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        secret = entry.seq == 0 or entry.tag == "Created" or b"secret_key" in entry.data
        return None if secret else entry.data.decode(errors="backslashreplace")
    return msgspec.json.encode(_without_keys(value, public=_is_public(value))).decode()


def _is_public(value: Any) -> bool:
    """`reply_key` is the sender's secret in `Created`, and public in the receiver's events."""
    return isinstance(value, dict) and cast("dict[str, Any]", value).get("event") in (
        "RetrievedOriginalPayload",
        "GotReplyableError",
    )


def _without_keys(value: Any, *, public: bool) -> Any:
    """Withhold values with a key's name or size, anywhere in the entry."""
    if isinstance(value, dict):
        return {
            name: WITHHELD
            if name == "secret_key" or (name == "reply_key" and not public)
            else _without_keys(each, public=public)
            for name, each in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_without_keys(each, public=public) for each in cast("list[object]", value)]
    return WITHHELD if isinstance(value, str) and _has_the_size_of_a_key(value) else value


def _has_the_size_of_a_key(text: str) -> bool:
    """Whether a text has the form of 32 bytes in base64."""
    return len(text) == 44 and text.endswith("=")
