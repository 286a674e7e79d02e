"""A mailroom: directory, OHTTP gateway and relay in one ASGI application (BIP 77, RFC 9458).

`create_app` makes the application, `serve` runs it as a program, `MailroomServer` in a thread.
"""

from typing import TYPE_CHECKING, Any

from dovetail.mailroom.settings import MailroomSettings as MailroomSettings

if TYPE_CHECKING:
    from dovetail.mailroom.app import Mailroom as Mailroom
    from dovetail.mailroom.app import create_app as create_app
    from dovetail.mailroom.server import MailroomServer as MailroomServer
    from dovetail.mailroom.server import serve as serve

_HOMES = {
    "Mailroom": "dovetail.mailroom.app",
    "create_app": "dovetail.mailroom.app",
    "MailroomServer": "dovetail.mailroom.server",
    "serve": "dovetail.mailroom.server",
}

__all__ = ["Mailroom", "MailroomServer", "MailroomSettings", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    """Load what needs uvicorn and SQLAlchemy when it is asked for (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415  # an import of the package costs nothing

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
