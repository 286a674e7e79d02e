"""`dovetail merchant check`: tests the whole setup, a line for each part."""

import asyncio
import sys
import textwrap
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from dovetail.cli import context, json_keys, merchant_parts, terminal
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.merchant_settings import MerchantSettings
from dovetail.cli.output import Screen
from dovetail.errors import DovetailError
from dovetail.merchant.services.checking import Finding, Setup, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovetail.merchant.data.database import Database

_NARROWEST = 30


def check(screen: Screen, *, database: str | None, signer: str | None) -> int:
    """Test the whole setup; a failure where something is wrong."""
    home = context.home(tell=False)
    settings = merchant_parts.settings_of(home, database=database, signer=signer)
    return asyncio.run(_check(screen, home, settings))


async def _check(screen: Screen, home: Home, settings: MerchantSettings) -> int:
    async with AsyncExitStack() as opened:
        around = await opened.enter_async_context(merchant_parts.open_around(home, settings))
        database: Database | DovetailError
        try:
            database = known = opened.enter_context(
                merchant_parts.open_database(home, settings, upgrade=False)
            )
            merchant_parts.remind(around.signer, known)
        except DovetailError as error:
            database = error
        found = await findings(
            Setup(
                around=around,
                database=database,
                network=home.network,
                public=settings.public_url,
                has_rates=bool(settings.rates),
                knows_clients=settings.client_header is not None,
            )
        )
    for line in _lines(found):
        screen.result(line)
    well = all(each.is_well for each in found)
    told = [{"about": each.about, "well": each.is_well, "words": each.words} for each in found]
    screen.emit(json_keys.MERCHANT_CHECK, {"well": well, "findings": told})
    wrong = sum(not each.is_well for each in found)
    if wrong:
        screen.say(f"To mend: {wrong} of {len(found)}, marked WRONG. Then run the check again.")
    else:
        screen.say("All is well.")
    return Exit.DONE if well else Exit.FAILED


def _lines(found: list[Finding]) -> "Iterator[str]":
    """A line for each finding; what has no room in a terminal goes on below."""
    names = [terminal.spelled(each.about, sys.stdout) for each in found]
    widest = max(map(terminal.cells, names))
    room = terminal.width(sys.stdout)
    for name, each in zip(names, found, strict=True):
        gap = " " * (widest - terminal.cells(name) + 2)
        head = f"{'ok' if each.is_well else 'WRONG':<7}{name}{gap}"
        words = terminal.spelled(each.words, sys.stdout)
        if room is None:
            yield f"{head}{words}"
            continue
        columns = max(room - terminal.cells(head), _NARROWEST)
        parts = textwrap.wrap(words, columns, break_long_words=False, break_on_hyphens=False)
        below = " " * terminal.cells(head)
        yield f"\n{below}".join([f"{head}{parts[0]}", *parts[1:]])
