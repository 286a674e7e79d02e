"""The filters of a list of invoices."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from dovetail.bitcoin import UnixTime
from dovetail.merchant.api.parameters import pairs_of
from dovetail.merchant.api.problems import invalid
from dovetail.merchant.data.invoices import PAGE, InvoiceFilter
from dovetail.merchant.greenfield.errors import converted
from dovetail.merchant.invoices import btcpay
from dovetail.merchant.messages.base import MAX_PAGE

Status = Literal["New", "Processing", "Settled", "Expired", "Invalid"]
Time = Annotated[int, Meta(ge=0, le=2**40)]

_OF_NAME = {name: status for status, name in btcpay.STATUSES.items()}


class Listing(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which invoices a list has, and which part of it is wanted."""

    order_id: list[str] | None = None
    status: list[Status] | None = None
    text_search: Annotated[str, Meta(max_length=200)] | None = None
    start_date: Time | None = None
    end_date: Time | None = None
    """The last second that is in the list."""
    include_archived: bool = False
    skip: Annotated[int, Meta(ge=0, le=2**31)] = 0
    take: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


_LISTS = ("orderId", "status")


def of_query(query: bytes) -> Listing:
    """Return what a query asks for; raises `Refused` for a value that is unknown."""
    given: dict[str, list[str]] = {}
    for name, value in pairs_of(query):
        given.setdefault(name, []).append(value)
    values: dict[str, Any] = {}
    for name, found in given.items():
        if name not in _LISTS and len(found) > 1:
            raise invalid(name, "Give it once.")
        values[name] = found if name in _LISTS else found[0]
    values["status"] = [each.capitalize() for each in values.get("status", [])] or None
    return converted(values, Listing, {}, strict=False)


def chosen(wanted: Listing, store_id: UUID) -> InvoiceFilter:
    """Return the same as the shop's tables are asked."""
    statuses = wanted.status
    return InvoiceFilter(
        store_ids=(store_id,),
        statuses=None if statuses is None else tuple(_OF_NAME[each] for each in statuses),
        order_ids=None if wanted.order_id is None else tuple(wanted.order_id),
        text=wanted.text_search or None,
        since=None if wanted.start_date is None else UnixTime(wanted.start_date),
        until=None if wanted.end_date is None else UnixTime(wanted.end_date + 1),
        archived=None if wanted.include_archived else False,
    )
