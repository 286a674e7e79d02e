"""A mailroom: directory, OHTTP gateway and relay in one ASGI application (BIP 77, RFC 9458).

`create_app` makes the application, `serve` runs it as a program, `MailroomServer` in a thread.
"""

from typing import TYPE_CHECKING

from dovetail.mailroom.settings import MailroomSettings as MailroomSettings

if TYPE_CHECKING:
    from dovetail.mailroom.app import Mailroom as Mailroom
    from dovetail.mailroom.app import create_app as create_app
    from dovetail.mailroom.server import MailroomServer as MailroomServer
    from dovetail.mailroom.server import serve as serve
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {"app": "Mailroom create_app", "server": "MailroomServer serve"},
        extra="mailroom",
    )

__all__ = ["Mailroom", "MailroomServer", "MailroomSettings", "create_app", "serve"]
