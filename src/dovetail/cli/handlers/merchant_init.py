"""`dovetail merchant init`: the first run of a shop."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dovetail.bitcoin import Network, ScriptType
from dovetail.cli import config, json_keys, merchant_parts, paths
from dovetail.cli.config import LOCAL_CHAIN, Settings
from dovetail.cli.context import CORE, Home
from dovetail.cli.exits import Exit
from dovetail.cli.first_run import answers as first_answers
from dovetail.cli.first_run import writing
from dovetail.cli.handlers import wallet_secrets
from dovetail.cli.hints import spelled
from dovetail.cli.options import flags
from dovetail.cli.output import Screen, confirm
from dovetail.errors import UsageError
from dovetail.merchant.data.database import Database
from dovetail.merchant.services.first_run import Begun, NewShop, begin
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.wallet.descriptors import check_descriptor
from dovetail.wallets.bdk.keys import public
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.wallet_file import Locked, read_secret

NOBODY = (
    "Can't ask the questions (no terminal): write the answers into a file, and name it with"
    " `--from`."
)
_ALSO = ("direct", "tor", "passphrase_file", "passphrase_keyring")
"""Settings that are kept where the command line gives them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is to be made."""

    home: Home
    database: str | Path
    answers: dict[str, Any]
    file: writing.NewFile

    @property
    def has_wallet(self) -> bool:
        """Whether the hot wallet is there already."""
        return BdkWallet.exists(self.home.wallet_folder)


def init(
    screen: Screen, *, answers: str | None, database: str | None, unprotected: bool, yes: bool
) -> int:
    """Set up a shop; see `dovetail merchant init --help`."""
    asks = sys.stdin.isatty()
    if answers is None and not asks:
        raise UsageError(NOBODY)
    settings = _settings()
    if answers is None:
        found = first_answers.asked(screen, settings, settings.file)
    else:
        found = first_answers.read(Path(answers), screen, settings)
    plan = _plan(settings, found, database or found.get(first_answers.DATABASE))
    Database.examine(plan.database)
    if "signer" not in settings.merchant:
        SignerPlace.parse(str(plan.home.folder / "merchant" / merchant_parts.SOCKET))
    if plan.has_wallet:
        _hot(plan.home)  # of a kind that will do, before anything is asked
    _show(screen, plan)
    _agree(plan, asks=asks, is_asked=answers is None, yes=yes)
    passphrase = None
    if not plan.has_wallet:
        passphrase = wallet_secrets.for_new(settings, unprotected=unprotected)
    begun, made = _make(plan, passphrase)
    screen.say()
    screen.say("The shop is set up.")
    if made:
        wallet_secrets.tell_unprotected(passphrase, screen)
    _tell(screen, plan, begun, made=made)
    return Exit.DONE


def _settings() -> Settings:
    """The settings so far; a file that was named may be missing."""
    place, named = config.find(flags(), os.environ)
    if not named or place.exists():
        return paths.settings()
    return replace(config.load(dict(flags()) | {"config": os.devnull}), file=place.absolute())


def _plan(settings: Settings, found: dict[str, Any], database: str | None) -> Plan:
    given = flags()
    values = {
        "network": found["network"],
        "chain": found["chain"],
        "directory": _one_or_list(found["directory"]),
        "relays": list(found["relays"]),
    } | {key: _plain(getattr(settings, key)) for key in _ALSO if key in given}
    if settings.wallet == CORE:
        del values["chain"]
    inside = {"cold": found["cold"], "public_url": found["public_url"]}
    inside |= {} if database is None else {"database": database}
    network = Network(found["network"])
    home = Home(replace(settings, network=network.value), network)
    known = settings.merchant.get("database")
    return Plan(
        home=home,
        database=database or known or home.folder / "merchant" / merchant_parts.DATABASE,
        answers=found,
        file=writing.new_file(settings.file, values, inside),
    )


def _one_or_list(urls: tuple[str, ...]) -> str | list[str]:
    return urls[0] if len(urls) == 1 else list(urls)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _show(screen: Screen, plan: Plan) -> None:
    """Say what will be made and written."""
    screen.say()
    screen.say(f"This will be written into {plan.file.path}:")
    for line in plan.file.lines:
        screen.say(f"    {line}")
    wallet = "the wallet that is there" if plan.has_wallet else "a new wallet"
    screen.say(
        f"The signer gets {wallet} in {plan.home.wallet_folder}, and the shop a database in"
        f" {'PostgreSQL' if '://' in str(plan.database) else plan.database}."
    )


def _agree(plan: Plan, *, asks: bool, is_asked: bool, yes: bool) -> None:
    """Ask once before anything is made; with a file only where it changes a configuration."""
    names = ", ".join(f"`{name}`" for name in plan.file.changed)
    if yes or not (names or is_asked):
        return
    if not asks:
        raise UsageError(
            f"The configuration {plan.file.path} has other values of {names}: add --yes to replace"
            " them."
        )
    confirm(f"Other values are there of {names}. Replace them?" if names else "Is that right?")


def _make(plan: Plan, passphrase: str | None) -> tuple[Begun, bool]:
    """Make it all, the configuration last: what fails leaves none, and can be run again."""
    if isinstance(plan.database, Path):
        paths.make_folder(plan.database.parent)
    is_new = not plan.has_wallet
    with Database.open(plan.database) as database:
        if is_new:
            paths.make_folder(plan.home.folder)
            BdkWallet.create(
                plan.home.wallet_folder,
                plan.home.network,
                server=LOCAL_CHAIN,  # it is asked nothing here
                kind=ScriptType.P2WPKH,
                passphrase=passphrase,
            )
        found = plan.answers
        begun = begin(
            database,
            NewShop(
                network=plan.home.network,
                hot=_hot(plan.home),
                cold=found["cold"],
                name=found["name"],
                user=found["user"],
                password=found["password"],
            ),
        )
    plan.file.write()
    return begun, is_new


def _hot(home: Home) -> str:
    """The public descriptor of the hot wallet; raises `ConfigurationError` for another kind."""
    secret = read_secret(home.wallet_folder)
    external = secret.external if isinstance(secret, Locked) else public(secret)[0]
    return check_descriptor(external, home.network, name="wallet")


def _tell(screen: Screen, plan: Plan, begun: Begun, *, made: bool) -> None:
    """Say what there is now, and what starts it."""
    if not begun.new_user:
        screen.say("The user was there before, and keeps the password.")
    if made:
        screen.say(
            "Write down the words of the hot wallet, which `dovetail wallet words` shows: without"
            " them and without a backup its coins are lost with this machine."
        )
    screen.say("Start it, each in a terminal or as a service of its own:")
    for command in ("signer", "serve", *(["worker"] if "://" in str(plan.database) else [])):
        screen.say(f"    {spelled(f'merchant {command}')}")
    screen.say(
        "Then `dovetail merchant check` tests all of it, and `dovetail merchant deposit` shows"
        " where to send coins to contribute."
    )
    screen.result(str(plan.file.path))
    screen.emit(
        json_keys.MERCHANT_INIT,
        {
            "path": str(plan.file.path),
            "network": plan.home.network.value,
            "store": str(begun.store.id),
            "user": plan.answers["user"],
            "new_wallet": made,
        },
    )
