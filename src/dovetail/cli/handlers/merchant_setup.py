"""`dovetail merchant store`, `key` and `deposit`: what a shop needs before it serves."""

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from dovetail.cli import context, json_keys, merchant_parts
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.merchant_settings import MerchantSettings
from dovetail.cli.output import Screen
from dovetail.errors import ConfigurationError
from dovetail.merchant.data import api_keys, audit, stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.wallets import WalletRow
from dovetail.merchant.messages import Scope, StorePolicy
from dovetail.merchant.messages.access import PLUGIN_SCOPES
from dovetail.merchant.messages.base import Name
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.wallet.merchant_wallet import MerchantWallet


def store(
    screen: Screen,
    *,
    name: str,
    minimum: int,
    expiry: int,
    currency: str | None,
    spread: int,
    database: str | None,
    signer: str | None,
) -> int:
    """Make a store; its wallet is the signer's, which is taken in where it is new."""
    home, settings = _settings(database, signer)
    _require_name(name)
    policy = policy_of(
        {
            "--minimum": ("payjoin_minimum_sats", minimum),
            "--expiry": ("expiry_seconds", expiry),
            "--currency": ("currency", currency),
            "--spread": ("spread_permille", spread),
        }
    )
    with (
        merchant_parts.open_database(home, settings) as opened,
        merchant_parts.open_signer(home, settings) as asked,
    ):

        def write(connection: Connection) -> stores.StoreRow:
            now = opened.now()
            wallet = _wallet(connection, opened, asked, home)
            added = stores.add_store(
                connection, wallet_id=wallet.id, name=name, policy=policy, now=now
            )
            audit.add(
                connection,
                who=audit.OWNER,
                what="store.create",
                subject=str(added.id),
                store_id=added.id,
                now=now,
            )
            return added

        made = opened.write(write)
    screen.result(str(made.id))
    values = {"store": str(made.id), "wallet": str(made.wallet_id)}
    screen.emit(json_keys.MERCHANT_STORE, values)
    screen.say(
        "The store is made. Next: `dovetail merchant key` for its software, and"
        " `dovetail merchant deposit` for coins to contribute."
    )
    return Exit.DONE


def key(
    screen: Screen,
    *,
    name: str,
    store_id: str | None,
    approves: bool,
    plugin: bool,
    database: str | None,
    signer: str | None,
) -> int:
    """Make an API key, and show its secret once."""
    scopes = _scopes(store_id, approves=approves, plugin=plugin)
    home, settings = _settings(database, signer)
    only = None if store_id is None else (_uuid(store_id),)
    _require_name(name)
    with merchant_parts.open_database(home, settings) as opened:

        def write(connection: Connection) -> tuple[api_keys.KeyRow, str]:
            if only is not None and stores.store(connection, only[0]) is None:
                raise ConfigurationError(
                    "`--store` names no store: give an id that `merchant store` has printed."
                )
            now = opened.now()
            added, secret = api_keys.add_key(
                connection, name=name, scopes=scopes, store_ids=only, now=now
            )
            audit.add(
                connection, who=audit.OWNER, what="key.create", subject=str(added.id), now=now
            )
            return added, secret

        made, secret = opened.write(write)
    screen.result(secret)
    screen.emit(json_keys.MERCHANT_KEY, {"key": str(made.id), "secret": secret})
    screen.say("This is the only time that the key is shown: keep it with the shop's software.")
    return Exit.DONE


def deposit(screen: Screen, *, database: str | None, signer: str | None) -> int:
    """Show a new address of the hot wallet."""
    home, settings = _settings(database, signer)
    with merchant_parts.open_database(home, settings) as opened:
        known = opened.read(wallets.all_wallets)
        if not known:
            raise ConfigurationError("There is no store yet: make one with `merchant store`.")
        address = MerchantWallet(opened, known[0], None).new_address()
    screen.result(str(address))
    screen.emit(json_keys.MERCHANT_DEPOSIT, {"address": str(address)})
    screen.say("Coins that are sent there are contributed to payjoins once they confirm.")
    return Exit.DONE


def _scopes(store_id: str | None, *, approves: bool, plugin: bool) -> Collection[Scope]:
    """What a new key may do; raises `ConfigurationError` for options that contradict each other."""
    if not plugin:
        return [each for each in Scope if approves or each is not Scope.REFUNDS_APPROVE]
    if approves or store_id is None:
        raise ConfigurationError(
            "A key for a plugin is for one store and approves nothing: give `--store`, and leave"
            " `--approves` out."
        )
    return PLUGIN_SCOPES


def _settings(database: str | None, signer: str | None) -> tuple[Home, MerchantSettings]:
    home = context.home(tell=False)
    return home, merchant_parts.settings_of(home, database=database, signer=signer)


def policy_of(options: Mapping[str, tuple[str, object]]) -> StorePolicy:
    """The policy of a new store; raises `ConfigurationError`, which names the option."""
    for option, (key, value) in options.items():
        try:
            msgspec.convert({key: value}, StorePolicy)
        except msgspec.ValidationError:
            raise ConfigurationError(f"`{option}` is out of range: correct it.") from None
    return msgspec.convert(dict(options.values()), StorePolicy)


def _require_name(name: str) -> None:
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise ConfigurationError(
            "`NAME` must be one line of 1 to 100 letters: choose another."
        ) from None


def _wallet(
    connection: Connection, database: Database, signer: RemoteSigner, home: Home
) -> WalletRow:
    """The row of the signer's wallet; raises `ConfigurationError` for another network."""
    told = signer.wallet()
    if told.network != home.network.value:
        raise ConfigurationError(
            f"The signer's wallet is on {told.network}, and this shop on {home.network}: set"
            f" `signer` to one on {home.network}, or `network` to {told.network}."
        )
    return wallets.known_or_added(
        connection,
        network=home.network,
        descriptor=told.hot,
        cold_descriptor=told.cold,
        now=database.now(),
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError(
            "`--store` must be a UUID: give an id that `merchant store` has printed."
        ) from None
