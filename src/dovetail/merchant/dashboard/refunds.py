"""The pages of refunds: those that wait for a decision, and the decisions."""

from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, parts_of
from dovetail.merchant.dashboard import words
from dovetail.merchant.dashboard.access import PATH, Needs, visitor_of
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.doers import Doer, doer_of
from dovetail.merchant.dashboard.rendering import link, page
from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.data import refunds as rows
from dovetail.merchant.data.invoices import PAGE
from dovetail.merchant.data.refunds import RefundRow, StepRow
from dovetail.merchant.invoices.refunds import BEFORE_PAYING, RefundStatus
from dovetail.merchant.messages import Scope
from dovetail.merchant.services.refund_payments import Trouble

LIST = f"{PATH}/refunds"


@get(LIST, guards=[Needs(Scope.REFUNDS_READ)])
async def list_refunds(request: ApiRequest) -> Response[str]:
    """List refunds, the newest first."""
    before = uuid_of(request.query_params.get("before"))
    found = await parts_of(request).database.aread(
        lambda c: rows.page(c, limit=PAGE + 1, before=before)
    )
    shown = found[:PAGE]
    return page(
        request,
        "refunds.html",
        rows=shown,
        words=words,
        first=link("/refunds") if before else None,
        next=link("/refunds", before=str(shown[-1].id)) if len(found) > PAGE else None,
    )


@get(f"{LIST}/{{refund_id:str}}", guards=[Needs(Scope.REFUNDS_READ)])
async def show_refund(request: ApiRequest, refund_id: FromPath[str]) -> Response[str]:
    """Show a refund with its steps."""
    row, steps = await _found(request, refund_id)
    return page(
        request,
        "refund.html",
        row=row,
        steps=steps,
        words=words,
        trouble="" if row.trouble is None else Trouble(row.trouble).words,
        can_approve=row.status is RefundStatus.CLAIMED,
        can_end=row.status in BEFORE_PAYING,
    )


@post(f"{LIST}/{{refund_id:str}}/approve", guards=[Needs(Scope.REFUNDS_APPROVE)])
async def approve_refund(request: ApiRequest, refund_id: FromPath[str]) -> Redirect:
    """Let the engine pay a refund, once the owner approves the transaction at the signer, too."""
    row, _ = await _found(request, refund_id)
    service, who = desk_of(request).refunds, visitor_of(request).who
    await in_thread(lambda: service.approve(row.id, by=who))
    return _done(row.id, "approve")


@post(f"{LIST}/{{refund_id:str}}/decline", guards=[Needs(Scope.REFUNDS_APPROVE)])
async def decline_refund(request: ApiRequest, refund_id: FromPath[str]) -> Redirect:
    """Pay nothing."""
    row, _ = await _found(request, refund_id)
    service, who = desk_of(request).refunds, visitor_of(request).who
    await in_thread(lambda: service.decline(row.id, by=who))
    return _done(row.id, "decline")


@post(f"{LIST}/{{refund_id:str}}/cancel", guards=[Needs(Scope.REFUNDS_WRITE)])
async def cancel_refund(request: ApiRequest, refund_id: FromPath[str]) -> Redirect:
    """Take a refund back."""
    row, _ = await _found(request, refund_id)
    service, who = desk_of(request).refunds, visitor_of(request).who
    await in_thread(lambda: service.cancel(row.id, by=who))
    return _done(row.id, "cancel")


HANDLERS = (list_refunds, show_refund, approve_refund, decline_refund, cancel_refund)


Steps = tuple[tuple[StepRow, Doer], ...]
"""The steps of a refund, each with who did it."""


async def _found(request: ApiRequest, text: str) -> tuple[RefundRow, Steps]:
    """The refund of this id and its steps; raises `Refused`."""
    refund_id = uuid_of(text)
    if refund_id is None:
        raise not_found()

    def read(connection: Connection) -> tuple[RefundRow, Steps] | None:
        row = rows.refund(connection, refund_id)
        if row is None:
            return None
        steps = rows.steps_of(connection, refund_id)
        return row, tuple((each, doer_of(connection, each.who)) for each in steps)

    found = await parts_of(request).database.aread(read)
    if found is None:
        raise not_found()
    return found


def _done(refund_id: UUID, what: str) -> Redirect:
    return Redirect(f"{LIST}/{refund_id}?done={what}", status_code=303)
