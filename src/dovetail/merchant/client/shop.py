"""The client that blocks."""

import ssl
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import count
from math import inf
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

_SLACK = 1.0
"""Seconds by which a wait may be longer than asked for."""


def _asked(describe: Callable[P, Call[T]]) -> Callable[Concatenate["Shop", P], T]:
    """A method that makes one call and returns its answer."""

    def ask(shop: "Shop", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return shop.ask(describe(*args, **kwargs))

    return shown_as(describe, ask)


def _paged(
    describe: Callable[P, Call[Page[T]]],
) -> Callable[Concatenate["Shop", P], Iterator[T]]:
    """A method that goes through all pages of a list."""

    def each(shop: "Shop", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return shop.pages(describe(*args, **kwargs))

    return shown_as(describe, each, Iterator)


class Shop:
    """A shop that is asked over its API. Threads may share it; close it, or use it in `with`.

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
        self._pool = httpcore2.ConnectionPool(ssl_context=trust_of(trust))

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
        return f"<Shop at {self._server!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def ask(self, call: Call[T]) -> T:
        """Make a call and return its answer; raises `ShopProblem` and `ShopUnreachable`."""
        for attempt in count(1):
            try:
                return answer(call, self._reply(call))
            except (ShopProblem, ShopUnreachable) as failure:
                pause = self._retries.pause(call, failure, attempt)
                if pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError  # pragma: no cover

    def pages(self, call: Call[Page[T]]) -> Iterator[T]:
        """Go through the entries of all pages, from the one of this call on; raises as `ask`."""
        while True:
            page = self.ask(call)
            yield from page.items
            if page.cursor is None:
                return
            call = call.at_page(page.cursor)

    def events(self, invoice_id: UUID, *, after: int = 0) -> Iterator[Event]:
        """Follow the events of an invoice, those after number `after`, for as long as you read.

        The stream is opened again where it breaks, and no event is left out or told twice. Raises
        as `ask` where the shop cannot be reached any more.
        """
        return self._followed(invoice_id, after, None)

    def wait_for(
        self, invoice_id: UUID, *statuses: InvoiceStatus, timeout: float | None = None
    ) -> Invoice:
        """Wait until an invoice has one of these statuses, and return it as it is then.

        Without `statuses` it waits until the invoice is settled, expired or invalid. Raises
        `TimeoutError` after `timeout` seconds, and as `ask`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        found = self.get_invoice(invoice_id)
        if is_reached(found.status, statuses):
            return found
        for event in self._followed(invoice_id, found.sequence, until):
            if is_reached(event.status, statuses):
                return self.get_invoice(invoice_id)
        raise not_in_time(invoice_id)

    def _followed(self, invoice_id: UUID, after: int, until: float | None) -> Iterator[Event]:
        """The events of an invoice, up to a time of the monotonic clock."""
        following = Following(after, self._retries)
        while _left(until) > 0:
            failure = None
            try:
                yield from self._streamed(following, invoice_id, until)
            except (ShopProblem, ShopUnreachable) as error:
                failure = error
            if _left(until) > 0:
                time.sleep(min(following.pause(failure), max(0.0, _left(until))))

    def _streamed(
        self, following: Following, invoice_id: UUID, until: float | None
    ) -> Iterator[Event]:
        """The events of one stream; it ends early where it would wait for too long."""
        following.begin()
        call = calls.stream_events(invoice_id, after=following.after)
        quiet = min(QUIET, max(0.01, _left(until)))
        with self._opened(call, quiet=quiet) as response:
            require_success(self._begun(response), call.accepts)
            for chunk in response.iter_stream():
                yield from following.take(chunk)
                if _left(until) < quiet - _SLACK:
                    return  # the next read would wait for `quiet`, which is past the time

    def _begun(self, response: httpcore2.Response) -> Reply:
        """The head of an answer, and the body of a refusal."""
        body = bytearray()
        if response.status >= HTTPStatus.BAD_REQUEST:
            for chunk in response.iter_stream():
                grown(body, chunk)
        return Reply(response.status, headers_of(response.headers), bytes(body))

    def _reply(self, call: Call[Any]) -> Reply:
        late = time.monotonic() + self._timeout
        with self._opened(call) as response:
            body = bytearray()
            for chunk in response.iter_stream():
                grown(body, chunk)
                if time.monotonic() > late:
                    raise TimeoutError
            return Reply(response.status, headers_of(response.headers), bytes(body))

    @contextmanager
    def _opened(
        self, call: Call[Any], *, quiet: float | None = None
    ) -> Generator[httpcore2.Response]:
        content = call.content
        with (
            self._server.told(),
            self._pool.stream(
                call.method,
                self._server.target(call),
                headers=self._server.headers(call, content),
                content=content,
                extensions=timeouts(self._timeout, quiet=quiet),
            ) as response,
        ):
            yield response


def _left(until: float | None) -> float:
    return inf if until is None else until - time.monotonic()
