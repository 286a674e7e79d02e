"""The pages of invoices: the list with its search and files, one invoice, and acts."""

import re
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream
from sqlalchemy import Connection

from dovetail.bitcoin import Sats
from dovetail.bitcoin.units import MAX_SATS
from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, origin_of, parts_of
from dovetail.merchant.api.sessions_view import session_view
from dovetail.merchant.api.views import claim_url
from dovetail.merchant.dashboard import exports, story, words
from dovetail.merchant.dashboard.access import PATH, Needs, form_of, visitor_of
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import HEADERS, link, page
from dovetail.merchant.dashboard.search import Search, uuid_of
from dovetail.merchant.dashboard.speech import speech_for
from dovetail.merchant.dashboard.story import Story
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data import record, stores
from dovetail.merchant.data.invoices import PAGE, InvoiceRow
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.invoices.refunds import RefundRefused
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.language import Language, phrase

LIST = f"{PATH}/invoices"
CLAIM_SECONDS = 30 * 86_400
"""Seconds in which the customer of a refund gives an address."""
BATCH = 200
"""Invoices of a file that are read at a time."""

NO_AMOUNT = phrase("Give the amount as a whole number of satoshis, or leave it empty.")
_MOST_REASON = 200
_MOST_DIGITS = 16


@get(LIST, guards=[Needs(Scope.INVOICES_READ)])
async def list_invoices(request: ApiRequest) -> Response[str]:
    """List invoices, the newest first."""
    search = Search.of(request.query_params)

    def read(connection: Connection) -> tuple[tuple[InvoiceRow, ...], dict[UUID, str]]:
        found = rows.page(connection, search.filter, limit=PAGE + 1, before=search.before)
        return found, _stores(connection)

    found, known = await parts_of(request).database.aread(read)
    shown, query = found[:PAGE], search.query
    return page(
        request,
        "invoices.html",
        search=search,
        rows=shown,
        stores=known,
        statuses=words.STATUSES,
        exceptions=words.EXCEPTIONS,
        first=link("/invoices", **query) if search.before else None,
        next=link("/invoices", **query, before=str(shown[-1].id)) if len(found) > PAGE else None,
        csv=link("/invoices/export/csv", **query),
        labels=link("/invoices/export/labels", **query),
    )


@get(f"{LIST}/export/csv", guards=[Needs(Scope.INVOICES_READ)])
async def export_csv(request: ApiRequest) -> Stream:
    """All invoices of a search as a table."""
    database = parts_of(request).database
    known = await database.aread(_stores)

    async def lines() -> AsyncIterator[str]:
        yield exports.csv_head()
        async for some in _batches(request, lambda _, found: found):
            yield exports.csv_lines(some, known)

    return _file(lines(), "text/csv", "invoices.csv")


@get(f"{LIST}/export/labels", guards=[Needs(Scope.INVOICES_READ)])
async def export_labels(request: ApiRequest) -> Stream:
    """All invoices of a search as labels for wallets (BIP 329)."""
    now = parts_of(request).clock()

    def read(connection: Connection, found: tuple[InvoiceRow, ...]) -> bytes:
        records = [record.load(connection, each.id) for each in found]
        return b"".join(line for each in records for line in exports.labels(each, each.state(now)))

    return _file(_batches(request, read), "application/jsonl", "invoices.labels.jsonl")


@get(f"{LIST}/{{invoice_id:str}}", guards=[Needs(Scope.INVOICES_READ)])
async def show_invoice(request: ApiRequest, invoice_id: FromPath[str]) -> Response[str]:
    """Show one invoice's whole story."""
    return await _shown(request, await _story(request, invoice_id))


@post(f"{LIST}/{{invoice_id:str}}/close", guards=[Needs(Scope.INVOICES_WRITE)])
async def close_invoice(request: ApiRequest, invoice_id: FromPath[str]) -> Redirect:
    """Ask for the end of the invoice's payjoin session."""
    row = (await _story(request, invoice_id)).record.row
    await desk_of(request).invoices.close(row.id, by=visitor_of(request).who)
    return _done(row.id, "close")


@post(f"{LIST}/{{invoice_id:str}}/mark", guards=[Needs(Scope.INVOICES_WRITE)])
async def mark_invoice(request: ApiRequest, invoice_id: FromPath[str]) -> Redirect:
    """Decide by hand that the invoice is settled or invalid."""
    row, mark = (await _story(request, invoice_id)).record.row, form_of(request).one("mark")
    if mark not in ("settled", "invalid"):
        raise not_found()
    settled = mark == "settled"
    await desk_of(request).invoices.mark(row.id, settled=settled, by=visitor_of(request).who)
    return _done(row.id, mark)


@post(f"{LIST}/{{invoice_id:str}}/refunds", guards=[Needs(Scope.REFUNDS_WRITE)])
async def ask_refund(request: ApiRequest, invoice_id: FromPath[str]) -> Response[str]:
    """Make a refund, and show the link for its customer in this answer alone."""
    known, form = await _story(request, invoice_id), form_of(request)
    given = form.one("amount")
    amount = _amount(given, speech_for(request))
    if given and amount is None:
        return await _shown(request, known, error=NO_AMOUNT)
    try:
        row, token = await desk_of(request).refunds.create(
            known.record.row.id,
            by=visitor_of(request).who,
            amount=amount,
            reason=" ".join(form.one("reason").split())[:_MOST_REASON] or None,
            expires_in=CLAIM_SECONDS,
        )
    except RefundRefused as refused:
        return await _shown(request, known, error=str(refused))
    url = claim_url(origin_of(request), token)
    return page(request, "refund-made.html", row=row, url=url)


HANDLERS = (
    list_invoices,
    export_csv,
    export_labels,
    show_invoice,
    close_invoice,
    mark_invoice,
    ask_refund,
)


async def _story(request: ApiRequest, text: str) -> Story:
    """The story of the invoice of this id; raises `Refused`."""
    invoice_id, parts = uuid_of(text), parts_of(request)
    found = None
    if invoice_id is not None:
        found = await parts.database.aread(lambda c: story.read(c, invoice_id, parts.clock()))
    if found is None:
        raise not_found()
    return found


async def _shown(request: ApiRequest, known: Story, *, error: str | None = None) -> Response[str]:
    parts, row = parts_of(request), known.record.row
    session = await in_thread(lambda: session_view(parts.database.sessions, row, parts.clock()))
    return page(
        request,
        "invoice.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        story=known,
        row=row,
        session=session,
        words=words,
        error=error,
        is_over=known.state.status is not InvoiceStatus.NEW,
    )


async def _batches(
    request: ApiRequest, work: Callable[[Connection, tuple[InvoiceRow, ...]], Any]
) -> AsyncIterator[Any]:
    """What `work` makes of all invoices of the search, some at a time."""
    search, database = Search.of(request.query_params), parts_of(request).database
    before = search.before
    while True:

        def read(
            connection: Connection, before: UUID | None = before
        ) -> tuple[tuple[InvoiceRow, ...], Any]:
            found = rows.page(connection, search.filter, limit=BATCH, before=before)
            return found, work(connection, found)

        found, made = await database.aread(read)
        if not found:
            return
        yield made
        before = found[-1].id


def _file(lines: AsyncIterator[Any], media_type: str, name: str) -> Stream:
    headers = dict(HEADERS) | {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(lines, media_type=media_type, headers=headers)


def _stores(connection: Connection) -> dict[UUID, str]:
    return {each.id: each.name for each in stores.all_stores(connection)}


def _amount(text: str, speech: Language) -> Sats | None:
    """The satoshis of a text, which may have the language's mark between thousands."""
    plain = text.replace("\N{NO-BREAK SPACE}", "").removesuffix("sats").rstrip()
    grouped = re.fullmatch(rf"\d{{1,3}}({re.escape(speech.group)}\d{{3}})+", plain, re.ASCII)
    digits = plain.replace(speech.group, "") if grouped else plain
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        return None
    return Sats(int(digits)) if int(digits) <= MAX_SATS else None


def _done(invoice_id: UUID, what: str) -> Redirect:
    return Redirect(f"{LIST}/{invoice_id}?done={what}", status_code=303)
