"""Tell the wallet which of its coins sessions hold, whenever that may have changed (P3)."""

import logging

from dovetail.errors import DovetailError
from dovetail.runtime.services import Services

logger = logging.getLogger(__name__)


async def hold_coins(services: Services) -> bool:
    """Whether the wallet knows now; one that is away is told with the next change.

    What was not told in time is made good later, so that neither a wallet that is away nor a crash
    between a session's end and this takes a coin away for good.
    """
    try:
        await services.async_wallet.hold(services.store.reserved)
    except DovetailError as error:
        logger.info("The wallet could not be told which coins are held: %s", type(error).__name__)
        return False
    return True
