"""The kinds of requests that a mailroom counts."""

from dovetail.mailroom.directory import mailbox_of
from dovetail.protocol.requests import GATEWAY_PATH


def kind_of(method: str, path: str) -> str:
    """Return in a word what a request is for, by what any observer of it sees."""
    if path == GATEWAY_PATH and method == "POST":
        return "gateway"
    if path in (GATEWAY_PATH, "/ohttp-keys"):
        return "keys"
    if path.lower().startswith(("/http:/", "/https:/")):
        return "relay"
    if path.startswith("/health"):
        return "health"
    if path == "/":
        return "page"
    return "plaintext" if mailbox_of(path) is not None else "other"
