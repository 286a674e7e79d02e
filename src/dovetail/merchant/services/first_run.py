"""What a new shop has in its database: its wallet, its store, and its first user."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from dovetail.bitcoin import Network
from dovetail.errors import ConfigurationError
from dovetail.merchant.data import audit, stores, users, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.data.wallets import WalletRow
from dovetail.merchant.messages import Role, StorePolicy
from dovetail.merchant.services.users import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShop:
    """What it is to be."""

    network: Network
    hot: str
    """The public descriptor of the signer's wallet."""
    cold: str | None
    """The public descriptor of cold storage."""
    name: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What there is now, and whether the store and the user are new."""

    store: StoreRow
    new_store: bool
    new_user: bool


def begin(database: Database, wanted: NewShop) -> Begun:
    """Make what is missing: a second call with the same values changes nothing.

    A user who is there keeps their password. Raises `ConfigurationError` where the database's
    stores have another wallet, and for a name or a password that will not do.
    """
    known = database.read(lambda connection: users.user_of_name(connection, wanted.user))
    if known is None:
        Users(database).add(wanted.user, wanted.password, Role.OWNER, by=audit.OWNER)
    store, is_new = database.write(lambda connection: _store(connection, database, wanted))
    return Begun(store=store, new_store=is_new, new_user=known is None)


def _store(connection: Connection, database: Database, wanted: NewShop) -> tuple[StoreRow, bool]:
    now, known = database.now(), stores.all_stores(connection)
    wallet = _wallet(connection, database, wanted)
    _require_one_wallet(wallet, known)
    for row in known:
        if row.name == wanted.name:
            return row, False
    added = stores.add_store(
        connection, wallet_id=wallet.id, name=wanted.name, policy=StorePolicy(), now=now
    )
    audit.add(
        connection,
        who=audit.OWNER,
        what="store.create",
        subject=str(added.id),
        store_id=added.id,
        now=now,
    )
    return added, True


def _wallet(connection: Connection, database: Database, wanted: NewShop) -> WalletRow:
    return wallets.known_or_added(
        connection,
        network=wanted.network,
        descriptor=wanted.hot,
        cold_descriptor=wanted.cold,
        now=database.now(),
    )


def _require_one_wallet(wallet: WalletRow, known: tuple[StoreRow, ...]) -> None:
    """A signer has one wallet, and one cold storage: it could not sign for the other stores."""
    if any(row.wallet_id != wallet.id for row in known):
        raise ConfigurationError(
            "The shop's database has stores on another hot wallet or another cold storage: give the"
            " same `cold`, or set `database` to a new one."
        )
