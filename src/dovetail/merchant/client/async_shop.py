"""The client for asyncio."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from itertools import count
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from uuid import UUID

import httpcore2

from dovetail.merchant.client import calls
from dovetail.merchant.client.calls import Call
from dovetail.merchant.client.errors import ShopProblem, ShopUnreachable
from dovetail.merchant.client.event_stream import QUIET, Following
from dovetail.merchant.client.methods import shown_as
from dovetail.merchant.client.retries import Retries
from dovetail.merchant.client.server import (
    Reply,
    Server,
    answer,
    grown,
    headers_of,
    require_success,
    timeouts,
    trust_of,
)
from dovetail.merchant.client.waiting import is_reached, not_in_time
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.messages.base import Page
from dovetail.merchant.messages.invoices import Event, Invoice

P = ParamSpec("P")
T = TypeVar("T")


def _asked(describe: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncShop", P], Awaitable[T]]:
    """A method that makes one call and returns its answer."""

    def ask(shop: "AsyncShop", /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return shop.ask(describe(*args, **kwargs))

    return shown_as(describe, ask)


def _paged(
    describe: Callable[P, Call[Page[T]]],
) -> Callable[Concatenate["AsyncShop", P], AsyncIterator[T]]:
    """A method that goes through all pages of a list."""

    def each(shop: "AsyncShop", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return shop.pages(describe(*args, **kwargs))

    return shown_as(describe, each, AsyncIterator)


class AsyncShop:
    """A shop that is asked over its API. Close it, or use it in `async with`.

    Each method raises `ShopProblem` where the shop refuses or fails, and `ShopUnreachable` where no
    proper answer comes. What may be repeated is repeated a few times before that: what only reads,
    `create_invoice`, `close_invoice`, `revoke_key` and `give_claim_address`, and anything that
    cannot have arrived.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        retries: Retries | None = None,
        trust: ssl.SSLContext | None = None,
        allow_http: bool = False,
    ) -> None:
        """`url` is the shop's address, and `key` the secret of an API key.

        `timeout` in seconds bounds one attempt. `trust` replaces the usual certificate authorities.
        `allow_http` allows an address without TLS that is not of this machine, which shows the key
        to the network. Raises `ConfigurationError`.
        """
        self._server = Server(url, key, allow_http=allow_http)
        self._timeout = timeout
        self._retries = retries or Retries()
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=trust_of(trust))

    create_invoice = _asked(calls.create_invoice)
    list_invoices = _asked(calls.list_invoices)
    invoices = _paged(calls.list_invoices)
    get_invoice = _asked(calls.get_invoice)
    list_payments = _asked(calls.list_payments)
    get_session = _asked(calls.get_session)
    close_invoice = _asked(calls.close_invoice)
    mark_invoice = _asked(calls.mark_invoice)
    list_events = _asked(calls.list_events)
    create_refund = _asked(calls.create_refund)
    list_refunds = _asked(calls.list_refunds)
    refunds = _paged(calls.list_refunds)
    list_refunds_of_invoice = _asked(calls.list_refunds_of_invoice)
    get_refund = _asked(calls.get_refund)
    cancel_refund = _asked(calls.cancel_refund)
    approve_refund = _asked(calls.approve_refund)
    decline_refund = _asked(calls.decline_refund)
    get_claim = _asked(calls.get_claim)
    give_claim_address = _asked(calls.give_claim_address)
    list_stores = _asked(calls.list_stores)
    create_store = _asked(calls.create_store)
    get_store = _asked(calls.get_store)
    change_store = _asked(calls.change_store)
    list_coins = _asked(calls.list_coins)
    list_webhooks = _asked(calls.list_webhooks)
    create_webhook = _asked(calls.create_webhook)
    change_webhook = _asked(calls.change_webhook)
    rotate_webhook = _asked(calls.rotate_webhook)
    list_deliveries = _asked(calls.list_deliveries)
    deliveries = _paged(calls.list_deliveries)
    resend_delivery = _asked(calls.resend_delivery)
    list_keys = _asked(calls.list_keys)
    create_key = _asked(calls.create_key)
    revoke_key = _asked(calls.revoke_key)
    list_audit = _asked(calls.list_audit)
    audit = _paged(calls.list_audit)

    def __repr__(self) -> str:
        return f"<AsyncShop at {self._server!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def ask(self, call: Call[T]) -> T:
        """Make a call and return its answer; raises `ShopProblem` and `ShopUnreachable`."""
        for attempt in count(1):
            try:
                return answer(call, await self._reply(call))
            except (ShopProblem, ShopUnreachable) as failure:
                pause = self._retries.pause(call, failure, attempt)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError  # pragma: no cover

    async def pages(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """Go through the entries of all pages, from the one of this call on; raises as `ask`."""
        while True:
            page = await self.ask(call)
            for item in page.items:
                yield item
            if page.cursor is None:
                return
            call = call.at_page(page.cursor)

    async def events(self, invoice_id: UUID, *, after: int = 0) -> AsyncGenerator[Event]:
        """Follow the events of an invoice, those after number `after`, for as long as you read.

        The stream is opened again where it breaks, and no event is left out or told twice. Raises
        as `ask` where the shop cannot be reached any more. `contextlib.aclosing` closes it at once
        where you stop reading.
        """
        following = Following(after, self._retries)
        while True:
            failure = None
            try:
                async with aclosing(self._streamed(following, invoice_id)) as events:
                    async for event in events:
                        yield event
            except (ShopProblem, ShopUnreachable) as error:
                failure = error
            await asyncio.sleep(following.pause(failure))

    async def wait_for(
        self, invoice_id: UUID, *statuses: InvoiceStatus, seconds: float | None = None
    ) -> Invoice:
        """Wait until an invoice has one of these statuses, and return it as it is then.

        Without `statuses` it waits until the invoice is settled, expired or invalid. Raises
        `TimeoutError` after `seconds`, and as `ask`.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._reached(invoice_id, statuses)
        except TimeoutError:
            raise not_in_time(invoice_id) from None

    async def _reached(self, invoice_id: UUID, statuses: tuple[InvoiceStatus, ...]) -> Invoice:
        found = await self.get_invoice(invoice_id)
        if is_reached(found.status, statuses):
            return found
        async with aclosing(self.events(invoice_id, after=found.sequence)) as events:
            async for event in events:
                if is_reached(event.status, statuses):
                    break
        return await self.get_invoice(invoice_id)

    async def _streamed(self, following: Following, invoice_id: UUID) -> AsyncGenerator[Event]:
        """The events of one stream."""
        following.begin()
        call = calls.stream_events(invoice_id, after=following.after)
        async with self._opened(call, quiet=QUIET) as response:
            require_success(await self._begun(response), call.accepts)
            async for chunk in response.aiter_stream():
                for event in following.take(chunk):
                    yield event

    async def _begun(self, response: httpcore2.Response) -> Reply:
        """The head of an answer, and the body of a refusal."""
        body = bytearray()
        if response.status >= HTTPStatus.BAD_REQUEST:
            async for chunk in response.aiter_stream():
                grown(body, chunk)
        return Reply(response.status, headers_of(response.headers), bytes(body))

    async def _reply(self, call: Call[Any]) -> Reply:
        with self._server.told():
            async with asyncio.timeout(self._timeout), self._opened(call) as response:
                body = bytearray()
                async for chunk in response.aiter_stream():
                    grown(body, chunk)
                return Reply(response.status, headers_of(response.headers), bytes(body))

    @asynccontextmanager
    async def _opened(
        self, call: Call[Any], *, quiet: float | None = None
    ) -> AsyncGenerator[httpcore2.Response]:
        content = call.content
        with self._server.told():
            async with self._pool.stream(
                call.method,
                self._server.target(call),
                headers=self._server.headers(call, content),
                content=content,
                extensions=timeouts(self._timeout, quiet=quiet),
            ) as response:
                yield response
