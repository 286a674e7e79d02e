"""Points of sale: pages of a store that make invoices; each act on one is in the audit trail."""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, select, update

from dovetail.bitcoin import UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.data import audit
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import points_of_sale
from dovetail.merchant.invoices.sales import Menu

_BYTES = 16
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PointRow:
    """A point of sale; its repr shows its id only (P4)."""

    id: UUID
    store_id: UUID
    token: str
    """The part of its address that nobody can guess."""
    title: str
    currency: str | None
    """The currency of its prices; None: satoshis."""
    menu: Menu
    created_at: UnixTime
    archived_at: UnixTime | None = None

    def __repr__(self) -> str:
        return f"<PointRow {self.id}>"

    @property
    def version(self) -> str:
        """Differs where what it sells differs."""
        told = msgspec.json.encode((self.title, self.currency, self.menu))
        return sha256(told).hexdigest()[:_DIGITS]


def add_point(
    connection: Connection,
    *,
    store_id: UUID,
    title: str,
    currency: str | None,
    menu: Menu,
    by: str,
    now: UnixTime,
) -> PointRow:
    """Insert a point of sale with an address of its own."""
    row = PointRow(
        id=new_id(),
        store_id=store_id,
        token=_new_token(),
        title=title,
        currency=currency,
        menu=menu,
        created_at=now,
    )
    values = {name: getattr(row, name) for name in PointRow.__slots__}
    connection.execute(insert(points_of_sale).values(values | {"menu": msgspec.json.encode(menu)}))
    _note(connection, row, "create", by=by, now=now)
    return row


def point(connection: Connection, point_id: UUID, *, lock: bool = False) -> PointRow | None:
    """Return a point of sale, or None; with `lock` no other transaction changes it meanwhile."""
    query = select(points_of_sale).where(points_of_sale.c.id == point_id)
    found = connection.execute(query.with_for_update() if lock else query).first()
    return None if found is None else _row(found)


def point_at(connection: Connection, token: str) -> PointRow | None:
    """Return the point of sale with this address that is in use, or None."""
    table = points_of_sale.c
    query = select(points_of_sale).where(table.token == token, table.archived_at.is_(None))
    found = connection.execute(query).first()
    return None if found is None else _row(found)


def all_points(connection: Connection) -> tuple[PointRow, ...]:
    """Return every point of sale, the oldest first."""
    query = select(points_of_sale).order_by(points_of_sale.c.id)
    return tuple(map(_row, connection.execute(query)))


def change(
    connection: Connection,
    row: PointRow,
    *,
    title: str,
    currency: str | None,
    menu: Menu,
    by: str,
    now: UnixTime,
) -> None:
    """Change what a point of sale is called and sells."""
    values = {"title": title, "currency": currency, "menu": msgspec.json.encode(menu)}
    _update(connection, row, values)
    _note(connection, row, "change", by=by, now=now)


def give_address(connection: Connection, row: PointRow, *, by: str, now: UnixTime) -> str:
    """Give a point of sale another address, and return its token; the old one leads nowhere."""
    token = _new_token()
    _update(connection, row, {"token": token})
    _note(connection, row, "address", by=by, now=now)
    return token


def archive(
    connection: Connection, row: PointRow, *, archived: bool, by: str, now: UnixTime
) -> None:
    """Close a point of sale, or open it again."""
    _update(connection, row, {"archived_at": int(now) if archived else None})
    _note(connection, row, "archive" if archived else "restore", by=by, now=now)


def _new_token() -> str:
    return secrets.token_urlsafe(_BYTES)


def _update(connection: Connection, row: PointRow, values: dict[str, Any]) -> None:
    statement = update(points_of_sale).where(points_of_sale.c.id == row.id)
    connection.execute(statement.values(values))


def _note(connection: Connection, row: PointRow, what: str, *, by: str, now: UnixTime) -> None:
    audit.add(
        connection,
        store_id=row.store_id,
        who=by,
        what=f"point-of-sale.{what}",
        subject=str(row.id),
        now=now,
    )


def _row(row: Any) -> PointRow:
    try:
        menu = msgspec.json.decode(row.menu, type=Menu)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"The point of sale {row.id} cannot be read: it was written by a newer Dovetail or is"
            " damaged."
        ) from error
    return PointRow(**row._asdict() | {"menu": menu})
