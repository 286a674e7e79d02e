"""The pages of points of sale: the list, and what each of them is called and sells."""

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.merchant.api.problems import Kind, Refused, not_found
from dovetail.merchant.api.routes.common import ApiRequest, parts_of
from dovetail.merchant.dashboard.access import PATH, Needs, form_of, visitor_of
from dovetail.merchant.dashboard.menus import (
    Fields,
    fields_in,
    fields_of,
    first_menu,
)
from dovetail.merchant.dashboard.rendering import page
from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.data import points_of_sale as rows
from dovetail.merchant.data import stores
from dovetail.merchant.data.points_of_sale import PointRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.forms import WrongFieldError
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.pages.sale import sale_path
from dovetail.merchant.services.rates import RateUnavailable

LIST = f"{PATH}/points-of-sale"
NO_STORE = phrase("Choose a store.")
MEANWHILE = phrase("Somebody has changed this point of sale meanwhile; open the page anew.")


@get(LIST, guards=[Needs(Scope.STORES_READ)])
async def list_points(request: ApiRequest) -> Response[str]:
    """List the points of sale of all stores."""
    return await _listed(request, Fields())


@post(LIST, guards=[Needs(Scope.INVOICES_CREATE)])
async def make_point(request: ApiRequest) -> Response[str] | Redirect:
    """Make a point of sale with a keypad, and lead to its page."""
    form = form_of(request)
    fields, store_id = fields_in(form), uuid_of(form.one("store"))
    try:
        title, currency = fields.checked_title, fields.code
    except WrongFieldError as error:
        return await _listed(request, fields, error=str(error))
    by, now = visitor_of(request).who, parts_of(request).clock()

    def write(connection: Connection) -> PointRow | None:
        store = None if store_id is None else stores.store(connection, store_id)
        if store is None or store.archived_at is not None:
            return None
        return rows.add_point(
            connection,
            store_id=store.id,
            title=title,
            currency=currency,
            menu=first_menu(currency),
            by=by,
            now=now,
        )

    made = await parts_of(request).database.awrite(write)
    if made is None:
        return await _listed(request, fields, error=NO_STORE)
    return _done(made.id, "point-made")


@get(f"{LIST}/{{point_id:str}}", guards=[Needs(Scope.INVOICES_CREATE)])
async def show_point(request: ApiRequest, point_id: FromPath[str]) -> Response[str]:
    """Show what a point of sale is called and sells, to be changed."""
    row = await _found(request, point_id)
    return await _shown(request, row, fields_of(row))


@post(f"{LIST}/{{point_id:str}}", guards=[Needs(Scope.INVOICES_CREATE)])
async def change_point(request: ApiRequest, point_id: FromPath[str]) -> Response[str] | Redirect:
    """Change what a point of sale is called and sells."""
    row, form = await _found(request, point_id), form_of(request)
    fields, version = fields_in(form), form.one("version")
    try:
        title, currency, menu = fields.checked_title, fields.code, fields.menu
    except WrongFieldError as error:
        return await _shown(request, row, fields, error=str(error))

    def work(connection: Connection, known: PointRow, by: str, now: UnixTime) -> None:
        if known.version != version:
            raise Refused(Kind.CONFLICT, MEANWHILE)
        rows.change(connection, known, title=title, currency=currency, menu=menu, by=by, now=now)

    return await _act(request, row, work, "point-saved")


@post(f"{LIST}/{{point_id:str}}/archive", guards=[Needs(Scope.INVOICES_CREATE)])
async def archive_point(request: ApiRequest, point_id: FromPath[str]) -> Redirect:
    """Close a point of sale, or open it again."""
    row = await _found(request, point_id)
    archived = form_of(request).one("archived") == "on"

    def work(connection: Connection, known: PointRow, by: str, now: UnixTime) -> None:
        rows.archive(connection, known, archived=archived, by=by, now=now)

    return await _act(request, row, work, "point-closed" if archived else "point-opened")


@post(f"{LIST}/{{point_id:str}}/address", guards=[Needs(Scope.INVOICES_CREATE)])
async def move_point(request: ApiRequest, point_id: FromPath[str]) -> Redirect:
    """Give a point of sale another address; the old one leads nowhere."""
    row = await _found(request, point_id)

    def work(connection: Connection, known: PointRow, by: str, now: UnixTime) -> None:
        rows.give_address(connection, known, by=by, now=now)

    return await _act(request, row, work, "point-moved")


HANDLERS = (list_points, make_point, show_point, change_point, archive_point, move_point)


async def _listed(
    request: ApiRequest, fields: Fields, *, error: str | None = None
) -> Response[str]:
    def read(connection: Connection) -> tuple[tuple[PointRow, ...], tuple[StoreRow, ...]]:
        return rows.all_points(connection), stores.all_stores(connection)

    points, known = await parts_of(request).database.aread(read)
    return page(
        request,
        "points-of-sale.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        points=sorted(points, key=lambda row: row.archived_at is not None),
        names={each.id: each.name for each in known},
        stores=[each for each in known if each.archived_at is None],
        fields=fields,
        path_of=sale_path,
        error=error,
    )


async def _shown(
    request: ApiRequest, row: PointRow, fields: Fields, *, error: str | None = None
) -> Response[str]:
    return page(
        request,
        "point-of-sale.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        row=row,
        fields=fields,
        path=sale_path(row),
        error=error,
        has_rate=await _has_rate(request, row),
    )


async def _has_rate(request: ApiRequest, row: PointRow) -> bool:
    """Whether its prices can be turned into satoshis now."""
    if row.currency is None:
        return True
    try:
        await parts_of(request).rates.rate(row.currency)
    except RateUnavailable:
        return False
    return True


async def _act(
    request: ApiRequest,
    row: PointRow,
    work: Callable[[Connection, PointRow, str, UnixTime], None],
    done: str,
) -> Redirect:
    """Do something to a point of sale as it is now, and lead to its page."""
    by, now = visitor_of(request).who, parts_of(request).clock()

    def write(connection: Connection) -> None:
        known = rows.point(connection, row.id, lock=True)
        if known is None:
            raise not_found()
        work(connection, known, by, now)

    await parts_of(request).database.awrite(write)
    return _done(row.id, done)


async def _found(request: ApiRequest, text: str) -> PointRow:
    point_id, row = uuid_of(text), None
    if point_id is not None:
        row = await parts_of(request).database.aread(lambda c: rows.point(c, point_id))
    if row is None:
        raise not_found()
    return row


def _done(point_id: UUID, what: str) -> Redirect:
    return Redirect(f"{LIST}/{point_id}?done={what}", status_code=303)
