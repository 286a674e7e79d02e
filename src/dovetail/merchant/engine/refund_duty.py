"""The duty of paying refunds that were approved, until their transactions are deep."""

import asyncio
import logging

from dovetail.errors import InfrastructureError, StoreUnavailable
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.refund_payments import RefundPayments

logger = logging.getLogger(__name__)


class RefundDuty:
    """Takes due refunds on, as often as the chain is watched; several do no harm."""

    def __init__(self, parts: Parts) -> None:
        """Nothing is done before `run`."""
        self._payments = RefundPayments(parts)
        self._every = parts.policy.watch_interval

    async def run(self) -> None:
        """Work until cancelled; a database that is away is tried again."""
        while True:
            try:
                await asyncio.to_thread(self._payments.work)
            except (InfrastructureError, StoreUnavailable) as error:
                logger.warning("Refunds could not be looked for: %s", error)
            await asyncio.sleep(self._every)
