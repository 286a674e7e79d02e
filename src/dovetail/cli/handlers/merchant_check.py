"""`dovetail merchant check`: tests the whole setup, a line for each part."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from dovetail.cli import context, json_keys, merchant_parts
from dovetail.cli.context import Home
from dovetail.cli.findings import tell
from dovetail.cli.merchant_settings import MerchantSettings
from dovetail.cli.output import Screen
from dovetail.errors import DovetailError
from dovetail.merchant.services.checking import Setup, findings

if TYPE_CHECKING:
    from dovetail.merchant.data.database import Database


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
    return tell(screen, found, json_keys.MERCHANT_CHECK)
