"""Tell the wallet which of its coins sessions hold, whenever that may have changed (P3)."""

import logging

from dovetail.errors import DovetailError
from dovetail.runtime.services import Services

logger = logging.getLogger(__name__)


async def hold_coins(services: Services) -> bool:
    """Return whether the wallet knows now; one that is away is told with the next change.

    A lock that the wallet missed is repeated later, so that neither a wallet that is away nor a
    crash between a session's end and this call locks a coin for good.
    """
    try:
        await services.async_wallet.hold(services.store.reserved)
    except DovetailError as error:
        logger.info("The wallet could not be told which coins are held: %s", type(error).__name__)
        return False
    return True
