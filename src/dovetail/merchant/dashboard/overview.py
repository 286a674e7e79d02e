"""The first page: how the shop is, what waits for a person, and how customers paid."""

from dataclasses import dataclass

from litestar import Response, get
from sqlalchemy import Connection

from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.api.routes.common import ApiRequest, parts_of, site_of
from dovetail.merchant.dashboard.access import PATH, Needs
from dovetail.merchant.dashboard.charts import Chart, Fees, Way, chart_of, fees_of, since
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import page
from dovetail.merchant.dashboard.words import Badge
from dovetail.merchant.data import census, coins, refunds, stores, wallets
from dovetail.merchant.data.wallets import WalletRow
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.checking import Setup, findings
from dovetail.merchant.services.health import Findings, Overall, Word

CHECK = f"{PATH}/check"
NO_WALLET = phrase("There is no wallet yet: make a store first.")
KEPT = 5
"""Coins that stay hot in any case: each payjoin under way needs one of its own."""

_OVERALL = {
    Overall.READY: Badge(phrase("The shop takes payments, and offers payjoins."), "good"),
    Overall.DEGRADED: Badge(
        phrase("The shop takes payments. It offers no payjoin: look after the signer."), "open"
    ),
    Overall.NOT_READY: Badge(
        phrase("The shop cannot take payments as it should: look after the parts below."), "bad"
    ),
    Overall.STOPPING: Badge(phrase("This server is stopping."), "open"),
}
_OVERALL[Overall.BLIND] = _OVERALL[Overall.NOT_READY]
_WORDS = {
    Word.OK: Badge(phrase("Well"), "good"),
    Word.AWAY: Badge(phrase("Does not answer"), "bad"),
    Word.OTHER_SCHEMA: Badge(phrase("Belongs to another release"), "bad"),
    Word.NONE: Badge(phrase("None"), "bad"),
}
_PARTS = {
    "database": phrase("Database"),
    "chain": phrase("Chain source"),
    "workers": phrase("Workers"),
    "signer": phrase("Signer"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Numbers of the whole shop."""

    statuses: dict[str, int]
    sessions: int
    webhooks: int
    overdue: int
    """Seconds for which the oldest webhook has been due."""
    to_approve: int
    hot: Sats
    hot_coins: int
    has_cold: bool
    has_stores: bool
    chart: Chart
    fees: Fees

    @property
    def sweep_is_due(self) -> bool:
        """Whether more coins are hot than payjoins need."""
        return self.has_cold and self.hot_coins > KEPT


@get(PATH, guards=[Needs(Scope.INVOICES_READ)])
async def show_overview(request: ApiRequest) -> Response[str]:
    """Show how the shop is."""
    parts = parts_of(request)
    now = parts.clock()
    figures = await parts.database.aread(lambda c: _figures(c, now))
    health = await desk_of(request).health.findings()
    return page(
        request,
        "overview.html",
        overall=_OVERALL[health.overall],
        health=_told(health),
        figures=figures,
        ways=tuple(Way),
        kept=KEPT,
    )


@get(CHECK, guards=[Needs(Scope.AUDIT_READ)])
async def show_check(request: ApiRequest) -> Response[str]:
    """Ask every part of the setup, also relays and directory; that takes some seconds."""
    parts = parts_of(request)

    def read(connection: Connection) -> tuple[tuple[WalletRow, ...], bool]:
        known = stores.all_stores(connection)
        return wallets.all_wallets(connection), any(each.policy.currency for each in known)

    known, has_rates = await parts.database.aread(read)
    if not known:
        raise ConfigurationError(NO_WALLET)
    setup = Setup(
        around=parts,
        database=parts.database,
        network=known[0].network,
        public=site_of(request).public,
        has_rates=has_rates,
    )
    return page(request, "check.html", findings=await findings(setup))


HANDLERS = (show_overview, show_check)


def _figures(connection: Connection, now: UnixTime) -> Figures:
    known = wallets.all_wallets(connection)
    hot = [
        each
        for wallet in known
        for each in coins.coins_of(connection, wallet.id)
        if each.spent_by is None and not each.absent
    ]
    waiting, overdue = census.webhooks_waiting(connection, now)
    claimed = refunds.page(connection, limit=100, statuses=(RefundStatus.CLAIMED,))
    settled = census.settlements(connection, since(now))
    return Figures(
        statuses=census.invoices_by_status(connection),
        sessions=sum(census.sessions_by_event(connection).values()),
        webhooks=waiting,
        overdue=overdue,
        to_approve=len(claimed),
        hot=Sats.sum(each.value for each in hot),
        hot_coins=len(hot),
        has_cold=any(each.cold_descriptor for each in known),
        has_stores=bool(stores.all_stores(connection)),
        chart=chart_of(settled, now),
        fees=fees_of(settled, now),
    )


def _told(health: Findings) -> list[tuple[str, Badge]]:
    return [(_PARTS.get(name, name), _WORDS[word]) for name, word in health.parts.items()]
