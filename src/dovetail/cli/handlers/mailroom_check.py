"""`dovetail mailroom check`: tests the whole setup, a line for each part."""

import asyncio
import time
from typing import Any

from dovetail.cli import json_keys
from dovetail.cli.config import Settings
from dovetail.cli.findings import tell
from dovetail.cli.handlers.mailroom import reader
from dovetail.cli.output import Screen
from dovetail.cli.paths import settings
from dovetail.errors import ConfigurationError, InvalidUri
from dovetail.mailroom import MailroomSettings, checking
from dovetail.mailroom.checking import Finding
from dovetail.mailroom.machine import Machine
from dovetail.tor import SocksProxy


def check(screen: Screen, *, public_url: str | None, **given: Any) -> int:
    """Test all parts; see `dovetail mailroom check --help`."""
    read = reader(**given, public_url=public_url)
    wanted = read()[1]
    found = checking.findings(wanted, Machine.look(wanted.data_dir))
    if wanted.public_url is None:
        screen.say("Not tested from outside: give `--url`, or set `public_url`.")
    elif wanted.directory:
        found += asyncio.run(_outside(settings(), wanted, wanted.public_url))
    return tell(screen, found, json_keys.MAILROOM_CHECK)


async def _outside(configured: Settings, wanted: MailroomSettings, url: str) -> list[Finding]:
    from dovetail.mailroom import outside  # noqa: PLC0415 - for those who ask
    from dovetail.mailroom.relay import trust  # noqa: PLC0415
    from dovetail.protocol.uri import parse_directory  # noqa: PLC0415
    from dovetail.runtime.relays import Relays  # noqa: PLC0415
    from dovetail.runtime.transport import HttpTransport  # noqa: PLC0415

    try:
        directory = parse_directory(url)
    except InvalidUri as error:
        raise ConfigurationError(
            "`public_url` must be an https origin such as https://mailroom.example: correct it."
        ) from error
    routes = Relays(
        configured.relays, clock=time.monotonic, direct=configured.direct or not configured.relays
    )
    trusted = trust(wanted.ca_file)
    tor = None if configured.tor is None else SocksProxy.parse(configured.tor)
    transport = HttpTransport(tor=tor, trust=trusted)
    try:
        return await outside.findings(
            outside.Outside(url=directory, relays=routes, transport=transport, trust=trusted)
        )
    finally:
        await transport.aclose()
