"""`dovetail wallet passphrase`, `words` and `info`: what protects the wallet, and its words."""

import sys
from pathlib import Path

from dovetail.bitcoin import Network, ScriptType
from dovetail.cli import context, json_keys, open_parts, passphrases
from dovetail.cli import keyring as system_keyring
from dovetail.cli.config import Settings
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen, confirm
from dovetail.errors import ConfigurationError, UsageError
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.encryption import require_passphrase

UNPROTECTED = (
    "The wallet has no passphrase: anyone who can read its file can spend. Set one with"
    " `dovetail wallet passphrase`."
)
NONE = "The keyring kept no passphrase of this wallet."
NAMES = {
    ScriptType.P2WPKH: "segwit",
    ScriptType.P2TR: "taproot",
    ScriptType.P2SH: "nested",
    ScriptType.P2PKH: "legacy",
}
# BIP 44, 49, 84 and 86 each give their own number; 0h is mainnet and 1h every test network.
_PURPOSES = {
    ScriptType.P2PKH: 44,
    ScriptType.P2SH: 49,
    ScriptType.P2WPKH: 84,
    ScriptType.P2TR: 86,
}


def for_new(settings: Settings, *, unprotected: bool) -> str | None:
    """The passphrase of a wallet that is about to be made; None where it gets none."""
    if unprotected:
        return None
    given = passphrases.named(settings.passphrase_file)
    if given is not None:
        require_passphrase(given)
        return given
    return passphrases.chosen("Passphrase of the new wallet") if sys.stdin.isatty() else None


def tell_unprotected(passphrase: str | None, screen: Screen) -> None:
    """Say what it means where a new wallet has no passphrase."""
    if passphrase is None:
        screen.say(UNPROTECTED, fg="yellow")


def change(screen: Screen, *, file: Path | None, descriptor: int | None, remove: bool) -> int:
    """Set, change or remove the passphrase."""
    if remove and (file is not None or descriptor is not None):
        raise UsageError("Remove the passphrase or give a new one, not both.")
    place = context.home()
    wallet = own_wallet(place, "`bitcoin-cli encryptwallet` and `walletpassphrasechange`")
    if remove and not wallet.encrypted:
        raise UsageError("The wallet has no passphrase: there is nothing to remove.")
    passphrases.unlock(wallet, place)
    if remove:
        wallet.change_passphrase(None)
        if place.settings.passphrase_keyring:
            system_keyring.drop(place)
        screen.say(UNPROTECTED, fg="yellow")
    else:
        chosen = passphrases.chosen("New passphrase", file=file, descriptor=descriptor)
        wallet.change_passphrase(chosen)
        if place.settings.passphrase_keyring:
            system_keyring.keep(place, chosen)
        screen.say("The passphrase is set. Earlier copies of the wallet's file are as they were.")
        screen.say("If you forget it, only the words remain: see `dovetail wallet words`.")
    screen.emit(json_keys.WALLET_PASSPHRASE, {"encrypted": not remove})
    return Exit.DONE


def keyring(screen: Screen, *, remove: bool) -> int:
    """Keep the passphrase in the system's keyring, or take it out of there."""
    place = context.home()
    wallet = own_wallet(place, "a keyring is no use there, but `bitcoin-cli walletpassphrase`")
    if remove:
        there = system_keyring.drop(place)
        screen.say("The keyring keeps no passphrase of this wallet any more." if there else NONE)
    else:
        _keep(place, wallet, screen)
    screen.emit(json_keys.WALLET_KEYRING, {"kept": not remove})
    return Exit.DONE


def _keep(place: Home, wallet: BdkWallet, screen: Screen) -> None:
    if not wallet.locked:
        raise UsageError(
            "The wallet has no passphrase to keep: set one by `dovetail wallet passphrase` first."
        )
    given = passphrases.named(place.settings.passphrase_file)
    passphrase, _ = passphrases.tried(wallet.unlock, "wallet", given)
    name = system_keyring.keep(place, passphrase)
    screen.say(f"The keyring ({name}) keeps the passphrase now.")
    if not place.settings.passphrase_keyring:
        screen.say(
            f"Commands take it from there with --passphrase-keyring, or always once"
            f" `{system_keyring.SETTING} = true` is in the configuration (`dovetail config path`)."
        )


def words(screen: Screen, *, yes: bool) -> int:
    """Show the words, or the descriptors that stand for them."""
    place = context.home()
    wallet = own_wallet(place, "`bitcoin-cli listdescriptors true`")
    _agree_to_show(yes=yes)
    passphrases.unlock(wallet, place)
    secret = wallet.secret()
    path = None
    if secret.mnemonic is None:
        screen.say("This wallet was imported by descriptors, for payments and for change:")
        screen.result(secret.external)
        screen.result(secret.internal)
    else:
        path = _path(place.network, wallet.kind)
        screen.result(secret.mnemonic)
        screen.say(f"Account {path} without a BIP 39 passphrase: other wallets ask for it.")
    screen.emit(
        json_keys.WALLET_WORDS,
        {
            "network": place.network.value,
            "kind": NAMES[wallet.kind],
            "path": path,
            "mnemonic": secret.mnemonic,
            "descriptors": None if secret.mnemonic else [secret.external, secret.internal],
        },
    )
    return Exit.DONE


def info(screen: Screen) -> int:
    """Say what kind of wallet it is."""
    place = context.home()
    wallet = own_wallet(place, "`bitcoin-cli getwalletinfo`")
    screen.result(f"Network     {place.network}")
    screen.result(f"Kind        {NAMES[wallet.kind]}")
    screen.result(f"Passphrase  {'set' if wallet.encrypted else 'none'}")
    screen.result(f"Folder      {place.wallet_folder}")
    if not wallet.encrypted:
        screen.say(UNPROTECTED)
    screen.emit(
        json_keys.WALLET_INFO,
        {
            "network": place.network.value,
            "kind": NAMES[wallet.kind],
            "encrypted": wallet.encrypted,
            "folder": str(place.wallet_folder),
        },
    )
    return Exit.DONE


def own_wallet(place: Home, instead: str) -> BdkWallet:
    """The wallet whose keys are Dovetail's; a node keeps its own, where `instead` does this.

    Raises `ConfigurationError`.
    """
    if place.settings.wallet == context.CORE:
        raise ConfigurationError(
            f'With `wallet = "core"` the node keeps the wallet and its keys: use {instead}.'
        )
    return open_parts.open_own(place, offline=True)


def _agree_to_show(*, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The words are shown on a terminal only: add --yes to print them here.")
    confirm("Anyone who sees the words can take the money. Show them here?")


def _path(network: Network, kind: ScriptType) -> str:
    return f"m/{_PURPOSES[kind]}h/{0 if network is Network.MAINNET else 1}h/0h"
