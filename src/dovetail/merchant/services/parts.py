"""The parts of a running shop, which the API, the engine and the command line share."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from uuid import UUID

from dovetail.bitcoin import UnixTime
from dovetail.errors import ConfigurationError, WalletError
from dovetail.merchant.data import refund_payments, wallets
from dovetail.merchant.data.coins import coins_of
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.wallets import WalletRow
from dovetail.merchant.services.rates import Rates
from dovetail.merchant.services.readiness import Readiness
from dovetail.merchant.wallet.merchant_wallet import MerchantWallet
from dovetail.merchant.wallet.ports import Signer
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.policy import AtExpiry, Policy
from dovetail.runtime.receiver_setup import Mailboxes
from dovetail.runtime.relays import Relays
from dovetail.runtime.services import Services
from dovetail.runtime.transport import Transport
from dovetail.wallets.ports import TransactionChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a shop uses beside its database."""

    chain: TransactionChain
    signer: Signer | None
    transport: Transport
    relays: Relays
    directories: tuple[str, ...]
    keys: OhttpKeys
    rates: Rates
    clock: Callable[[], UnixTime]
    policy: Policy = field(default_factory=Policy)

    def parts(self, database: Database) -> "Parts":
        """The parts of a shop with this database."""
        around = {each.name: getattr(self, each.name) for each in fields(Around)}
        return Parts(database=database, **around)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Around):
    """Database, chain, signer, directory and relays, as a shop uses them."""

    database: Database
    _services: dict[tuple[UUID, bool], Services] = field(
        default_factory=dict[tuple[UUID, bool], Services], init=False, repr=False
    )

    def wallet_row(self, wallet_id: UUID) -> WalletRow:
        """Return a wallet; raises `ConfigurationError` where there is none."""
        row = self.database.read(lambda connection: wallets.wallet(connection, wallet_id))
        if row is None:
            raise ConfigurationError("The shop has no such wallet.")
        return row

    def wallet(self, wallet_id: UUID) -> MerchantWallet:
        """Return the wallet of sessions."""
        return MerchantWallet(self.database, self.wallet_row(wallet_id), self.signer)

    def services(self, wallet_id: UUID, *, broadcasts_fallback: bool = True) -> Services:
        """Return what the sessions of a wallet use; those of one wallet share it."""
        key = wallet_id, broadcasts_fallback
        if key not in self._services:
            at_expiry = AtExpiry.BROADCAST if broadcasts_fallback else AtExpiry.ASK
            self._services[key] = Services(
                wallet=self.wallet(wallet_id),
                chain=self.chain,
                store=self.database.sessions,
                transport=self.transport,
                relays=self.relays,
                clock=self.clock,
                policy=replace(self.policy, at_expiry=at_expiry),
            )
        return self._services[key]

    def mailboxes(self, wallet_id: UUID) -> Mailboxes:
        """Return what opens the mailboxes of new sessions."""
        return Mailboxes(self.directories, self.services(wallet_id), self.keys)

    def readiness(self, wallet_id: UUID) -> Readiness:
        """Return what the offer of a payjoin depends on."""
        return Readiness(
            signer_answers=lambda: self._signer_answers(wallet_id),
            free_coins=lambda: self.free_coins(wallet_id),
            has_directory=bool(self.directories),
        )

    def free_coins(self, wallet_id: UUID) -> int:
        """Return how many coins of a wallet no session or refund holds, and nothing spends."""
        held = self.database.sessions.reserved() | self.database.read(refund_payments.held_coins)
        rows = self.database.read(lambda connection: coins_of(connection, wallet_id))
        return sum(row.is_usable and row.outpoint not in held for row in rows)

    def _signer_answers(self, wallet_id: UUID) -> bool | None:
        if self.signer is None:
            return None
        row = self.wallet_row(wallet_id)
        try:
            return self.signer.descriptors() == (row.descriptor, row.cold_descriptor)
        except WalletError:
            return False
