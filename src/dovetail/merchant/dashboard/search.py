"""The search for invoices: what the address of a list asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.invoices import InvoiceFilter
from dovetail.merchant.invoices.invoice import InvoiceStatus

_MOST = 200
_LAST_YEAR = 9998


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search as its form has it. What makes no sense is as good as left out."""

    text: str = ""
    status: InvoiceStatus | None = None
    store: UUID | None = None
    since: str = ""
    """A day in UTC, such as `2026-11-28`."""
    until: str = ""
    """The last day, which is part of it."""
    before: UUID | None = None
    """The last invoice of the page before."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Search":
        """The search of an address."""
        status = query.get("status", "")
        return cls(
            text=query.get("q", "").replace("\x00", "").strip()[:_MOST],
            status=InvoiceStatus(status) if status in set(InvoiceStatus) else None,
            store=uuid_of(query.get("store")),
            since=_day(query.get("since", "")),
            until=_day(query.get("until", "")),
            before=uuid_of(query.get("before")),
        )

    @property
    def filter(self) -> InvoiceFilter:
        """Which invoices it finds."""
        return InvoiceFilter(
            store_ids=None if self.store is None else (self.store,),
            statuses=None if self.status is None else (self.status,),
            since=_start(self.since),
            until=_start(self.until, days=1),
            text=self.text or None,
        )

    @property
    def query(self) -> dict[str, str]:
        """The same in an address, without the page."""
        found = {
            "q": self.text,
            "status": "" if self.status is None else self.status.value,
            "store": "" if self.store is None else str(self.store),
            "since": self.since,
            "until": self.until,
        }
        return {name: value for name, value in found.items() if value}


def uuid_of(text: str | None) -> UUID | None:
    """The id in a text; None where there is none."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _day(text: str) -> str:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return found.strftime("%Y-%m-%d") if 1970 <= found.year <= _LAST_YEAR else ""


def _start(day: str, *, days: int = 0) -> UnixTime | None:
    if not day:
        return None
    at = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days)
    return UnixTime(int(at.timestamp()))
