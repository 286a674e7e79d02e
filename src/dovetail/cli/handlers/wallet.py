"""`dovetail wallet`: make one, look into it."""

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from dovetail.bitcoin import Network, OutPoint, Sats, ScriptType
from dovetail.cli import context, json_keys, open_parts, paths, signals
from dovetail.cli.config import LOCAL_CHAIN
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import wallet_secrets
from dovetail.cli.output import Screen, sats
from dovetail.cli.tables import table
from dovetail.errors import ConfigurationError, UsageError
from dovetail.stores.holders import numbered, sessions_words
from dovetail.stores.ports import SessionId
from dovetail.wallets.bdk.wallet import BdkWallet

if TYPE_CHECKING:
    from dovetail.stores.sql import SqliteStore
    from dovetail.wallets.core.wallet import CoreWallet

KINDS = {
    "segwit": ScriptType.P2WPKH,
    "taproot": ScriptType.P2TR,
    "nested": ScriptType.P2SH,
    "legacy": ScriptType.P2PKH,
}


def new(screen: Screen, *, kind: str, unprotected: bool) -> int:
    """Make a wallet with new words."""
    place = _place_for_new()
    passphrase = wallet_secrets.for_new(place.settings, unprotected=unprotected)
    words = _created(place, kind, passphrase).mnemonic() or ""
    screen.say(f"A new wallet on {place.network}. Write these 12 words down and keep them safe:")
    screen.say("anyone who has them has the money. `dovetail wallet words` shows them again.")
    screen.result(words)
    wallet_secrets.tell_unprotected(passphrase, screen)
    screen.say("Next: `dovetail wallet address`")
    screen.emit(
        json_keys.WALLET_NEW,
        {
            "network": place.network.value,
            "kind": kind,
            "mnemonic": words,
            "encrypted": passphrase is not None,
        },
    )
    return Exit.DONE


def bring(screen: Screen, *, kind: str, descriptors: bool, unprotected: bool) -> int:
    """Make a wallet from words or descriptors, which are read from stdin."""
    place = _place_for_new()
    passphrase = wallet_secrets.for_new(place.settings, unprotected=unprotected)
    if descriptors:
        pair = (
            _secret("Descriptor for payments"),
            _secret("Descriptor for change"),
        )
        _created(place, kind, passphrase, descriptors=pair)
    else:
        _created(place, kind, passphrase, mnemonic=_secret("Recovery words"))
    wallet_secrets.tell_unprotected(passphrase, screen)
    screen.say(f"The wallet on {place.network} is there. Next: `dovetail wallet balance`")
    screen.emit(
        json_keys.WALLET_IMPORT,
        {
            "network": place.network.value,
            "kind": None if descriptors else kind,
            "encrypted": passphrase is not None,
        },
    )
    return Exit.DONE


def address(screen: Screen) -> int:
    """Give a fresh address."""
    place = context.home()
    text = str(open_parts.open_wallet(place, offline=True).new_address())
    screen.result(text)
    screen.emit(json_keys.WALLET_ADDRESS, {"address": text, "network": place.network.value})
    return Exit.DONE


def balance(screen: Screen) -> int:
    """Say what the wallet holds."""
    with _synced(screen) as (wallet, store):
        held = wallet.balance()
        holders = _holders(store)
        taken = [coin for coin in wallet.coins() if coin.outpoint in holders]
    reserved = Sats.sum(coin.utxo.value for coin in taken)
    free = Sats(max(0, int(held.confirmed) - int(reserved)))
    by = {holders[coin.outpoint] for coin in taken}
    screen.result(f"Confirmed    {sats(held.confirmed)}")
    if taken:
        screen.result(f"Spendable    {sats(free)}: {reserved:,} reserved by {sessions_words(by)}")
    screen.result(f"Unconfirmed  {sats(held.unconfirmed)}")
    if isinstance(wallet, BdkWallet) and not wallet.encrypted:
        screen.say(wallet_secrets.UNPROTECTED)
    screen.emit(
        json_keys.WALLET_BALANCE,
        {
            "confirmed_sats": int(held.confirmed),
            "unconfirmed_sats": int(held.unconfirmed),
            "reserved_sats": int(reserved),
            "spendable_sats": int(free),
            "reserved_by": numbered(by),
        },
    )
    return Exit.DONE


def coins(screen: Screen) -> int:
    """List the confirmed coins."""
    with _synced(screen) as (wallet, store):
        found = wallet.coins()
        holders = _holders(store)
        seen = frozenset[OutPoint]() if store is None else store.exposed()
    if found:
        cells = [
            (
                str(coin.outpoint),
                sats(coin.utxo.value),
                _held_by(holders.get(coin.outpoint)),
                "exposed" if coin.outpoint in seen else "",
            )
            for coin in found
        ]
        heading = ("Coin", "Amount", "Held", "Known")
        screen.result(table(heading, cells, right=frozenset({1})))
    else:
        screen.say("There is no confirmed coin yet: have `dovetail wallet address` paid.")
    rows = [
        {
            "outpoint": str(coin.outpoint),
            "amount_sats": int(coin.utxo.value),
            "reserved": coin.outpoint in holders,
            "session": holders.get(coin.outpoint),
            "exposed": coin.outpoint in seen,
        }
        for coin in found
    ]
    screen.emit(json_keys.WALLET_COINS, {"coins": rows})
    return Exit.DONE


@contextmanager
def _synced(screen: Screen) -> "Generator[tuple[BdkWallet | CoreWallet, SqliteStore | None]]":
    """The wallet, in sync with the chain, and the sessions."""
    place = context.home()
    wallet = open_parts.open_wallet(place, ahead=True)
    with open_parts.open_store(place) as store:
        screen.tick("Looking at the chain ...")
        with signals.at_once():
            wallet.sync()
        yield wallet, store


def _holders(store: "SqliteStore | None") -> Mapping[OutPoint, SessionId]:
    return {} if store is None else store.holders()


def _held_by(session: SessionId | None) -> str:
    return "" if session is None else f"reserved by session {session}"


def _place_for_new() -> Home:
    """A wallet is made for a network that was named; a file or variable will do."""
    settings = paths.settings()
    if settings.wallet == context.CORE:
        raise ConfigurationError(
            'With `wallet = "core"` the node keeps the wallet: make or restore it by'
            " `bitcoin-cli createwallet`, and name it by `core_wallet`."
        )
    if settings.network is None:
        raise ConfigurationError(
            "Say which `network` the wallet is for: --network regtest or signet to try things out,"
            " mainnet for real money."
        )
    place = Home(settings, Network(settings.network))
    if BdkWallet.exists(place.wallet_folder):
        raise ConfigurationError(
            f"There is a wallet on {place.network} already, and it stays as it is. Choose another"
            " `--data-dir` for a second one."
        )
    return place


def _created(
    place: Home,
    kind: str,
    passphrase: str | None,
    *,
    mnemonic: str | None = None,
    descriptors: tuple[str, str] | None = None,
) -> BdkWallet:
    paths.make_folder(place.folder)
    return BdkWallet.create(
        place.wallet_folder,
        place.network,
        # Making a wallet asks no server, so that none need be set yet.
        server=LOCAL_CHAIN if place.settings.chain is None else place.chain,
        kind=KINDS[kind],
        mnemonic=mnemonic,
        descriptors=descriptors,
        passphrase=passphrase,
    )


def _secret(name: str) -> str:
    """Read a secret from stdin, never from the command line, which others on the machine see."""
    if sys.stdin.isatty():
        text: str = click.prompt(name, hide_input=True, err=True)
    else:
        text = sys.stdin.readline()
    if not text.strip():
        raise UsageError(f"{name}: nothing came on stdin; type or pipe it in.")
    return " ".join(text.split())
