"""A new sender: the first event of its log, which reserves the coins that it spends."""

from typing import TypeAlias

from dovetail.runtime.plain_payment import PlainPayment
from dovetail.runtime.prepared_payment import PreparedPayment
from dovetail.runtime.services import Services
from dovetail.runtime.vanished_coins import known_at
from dovetail.sessions import sender
from dovetail.sessions.sender import SenderEvent, SenderSession
from dovetail.stores.ports import SessionLog

Created: TypeAlias = tuple[SessionLog[SenderEvent], SenderSession]


async def create(services: Services, payment: PreparedPayment) -> Created:
    """A session that makes this payment, by payjoin or by its fallback; see `Agent.start`."""
    contested = payment.original.unsigned_transaction.contested()
    created = sender.create(
        uri=payment.uri,
        original=payment.original,
        params=payment.params,
        now=services.clock(),
        depth=services.policy.depth,
        again=payment.again,
        height=await known_at(services.async_chain, contested),
    )
    log = services.store.new_sender(reserving=contested, alone=not payment.again)
    return log, await created.save_async(log)


async def create_plain(services: Services, payment: PlainPayment) -> Created:
    """A session that makes a payment without a payjoin; see `Agent.start_plain`."""
    contested = payment.original.unsigned_transaction.contested()
    created = sender.create_plain(
        request=payment.request,
        original=payment.original,
        now=services.clock(),
        depth=services.policy.depth,
        height=await known_at(services.async_chain, contested),
    )
    log = services.store.new_sender(reserving=contested, alone=not payment.again)
    return log, await created.save_async(log)
