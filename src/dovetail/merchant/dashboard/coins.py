"""The page of coins: which are free, who holds the others, and which a customer has seen."""

from dataclasses import dataclass
from uuid import UUID

from litestar import Response, get
from sqlalchemy import Connection

from dovetail.bitcoin import OutPoint, Sats
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, parts_of
from dovetail.merchant.dashboard.access import PATH, Needs
from dovetail.merchant.dashboard.rendering import page
from dovetail.merchant.dashboard.words import Badge
from dovetail.merchant.data import coins, refund_payments, wallets
from dovetail.merchant.data.coins import CoinRow
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import invoice_of_session
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.language import phrase
from dovetail.stores.ports import SessionId

FREE = Badge(phrase("Free"), "good")
SESSION = Badge(phrase("In a payjoin"), "open")
REFUND = Badge(phrase("In a refund"), "open")
SPENT = Badge(phrase("Being spent"), "")
UNCONFIRMED = Badge(phrase("Unconfirmed"), "")
ABSENT = Badge(phrase("Gone from the chain"), "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A coin as its page shows it."""

    coin: CoinRow
    state: Badge
    invoice_id: UUID | None
    """The invoice whose session holds it."""
    exposed: bool
    """Whether a customer has seen that it is the shop's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """The coins of one wallet, the largest first."""

    name: str
    coins: tuple[Shown, ...]

    @property
    def total(self) -> Sats:
        """What is there, spent or not in the mempool."""
        return Sats.sum(each.coin.value for each in self.coins)

    @property
    def free(self) -> Sats:
        """What no session and no refund holds."""
        return Sats.sum(each.coin.value for each in self.coins if each.state is FREE)


@get(f"{PATH}/coins", guards=[Needs(Scope.COINS_READ)])
async def list_coins(request: ApiRequest) -> Response[str]:
    """List the hot coins of each wallet."""
    database = parts_of(request).database
    return page(request, "coins.html", purses=await in_thread(lambda: purses(database)))


HANDLERS = (list_coins,)


def purses(database: Database) -> tuple[Purse, ...]:
    """The coins of each wallet as they are now."""
    holders, exposed = database.sessions.holders(), database.sessions.exposed()

    def read(connection: Connection) -> tuple[Purse, ...]:
        refunded = refund_payments.held_coins(connection)
        return tuple(
            Purse(
                name=wallet.name,
                coins=tuple(
                    _shown(connection, each, holders.get(each.outpoint), refunded, exposed)
                    for each in sorted(
                        coins.coins_of(connection, wallet.id),
                        key=lambda coin: (-int(coin.value), coin.outpoint),
                    )
                ),
            )
            for wallet in wallets.all_wallets(connection)
        )

    return database.read(read)


def _shown(
    connection: Connection,
    coin: CoinRow,
    holder: SessionId | None,
    refunded: frozenset[OutPoint],
    exposed: frozenset[OutPoint],
) -> Shown:
    row = None if holder is None else invoice_of_session(connection, holder)
    return Shown(
        coin=coin,
        state=_state(coin, in_session=holder is not None, in_refund=coin.outpoint in refunded),
        invoice_id=None if row is None else row.id,
        exposed=coin.outpoint in exposed,
    )


def _state(coin: CoinRow, *, in_session: bool, in_refund: bool) -> Badge:
    if coin.absent:
        return ABSENT
    if coin.spent_by is not None:
        return SPENT
    if in_session:
        return SESSION
    if in_refund:
        return REFUND
    return UNCONFIRMED if coin.height is None else FREE
