"""`dovetail merchant backup` and `restore`."""

from pathlib import Path

from dovetail.bitcoin import Network
from dovetail.cli import context, json_keys, merchant_parts, paths
from dovetail.cli.clock import clock
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen, local_time
from dovetail.errors import ConfigurationError, UsageError
from dovetail.merchant.services import backups
from dovetail.merchant.services.backups import DUMP, LOG, NAMES, SHOP, WALLET, Name
from dovetail.merchant.services.postgres_copies import SharedDatabase


def backup(screen: Screen, *, folder: Path, only: str | None, database: str | None) -> int:
    """Copy what is there; see `dovetail merchant backup --help`."""
    home = context.home(tell=False)
    places = _places(home, database)
    wanted = {"shop": (SHOP, DUMP), "signer": (LOG, WALLET)}.get(only or "", NAMES)
    parts: dict[Name, Path | SharedDatabase] = {
        name: place for name, place in places.items() if name in wanted and _is_there(place)
    }
    if not parts:
        raise ConfigurationError(
            f"There is nothing to copy in {home.folder}: name another `--data-dir`, or"
            " `--database`."
        )
    made = backups.backup(parts, folder.absolute(), network=home.network, now=clock())
    if only != "signer" and not {SHOP, DUMP} & parts.keys():
        screen.say("There is no database here.")
    screen.result(str(folder.absolute()))
    screen.emit(
        json_keys.MERCHANT_BACKUP,
        {
            "folder": str(folder.absolute()),
            "network": made.network.value,
            "made_at": made.made_at,
            "files": list(made.files),
        },
    )
    screen.say(f"It has {_listed(list(made.files))}. The configuration file is not in it.")
    if WALLET in made.files:
        screen.say("Whoever has it can spend the hot wallet, but for a passphrase: keep it safe.")
    return Exit.DONE


def restore(screen: Screen, *, folder: Path, skip: int, database: str | None) -> int:
    """Put a backup in place; see `dovetail merchant restore --help`."""
    found = backups.read_manifest(folder)
    home = _home(found.network)
    targets = _places(home, database)
    if SHOP in found.files and SHOP not in targets:
        raise UsageError(
            "The backup has a database in a file, and `database` names one in PostgreSQL: give the"
            " path of a file, or a backup of the signer alone."
        )
    if DUMP in found.files and DUMP not in targets:
        raise UsageError(
            "The backup has a database of PostgreSQL: give the URL of an empty one as `database`."
        )
    restored = backups.restore(folder, targets, skip=skip)
    places = {name: str(targets[name]) for name in restored.files}
    for name, place in places.items():
        screen.result(f"{name}: {place}")
    screen.emit(
        json_keys.MERCHANT_RESTORE,
        {"network": found.network.value, "made_at": found.made_at, "files": places},
    )
    screen.say(f"The shop is as it was at {local_time(found.made_at)}.")
    if {SHOP, DUMP} & places.keys() and skip:
        screen.say(
            f"It passes over {skip:,} addresses, so that none is given out twice. Set the gap limit"
            f" of programs that watch its wallets, also of cold storage, to more than {skip:,}."
        )
    screen.say(
        "Next: `dovetail merchant signer`, then `dovetail merchant serve`, and `dovetail merchant"
        " check`."
    )
    return Exit.DONE


def _home(network: Network) -> Home:
    """The settings for the backup's network; raises `UsageError` where another one is set."""
    settings = paths.settings()
    if settings.network not in (None, network.value):
        raise UsageError(
            f"The backup is of a shop on {network}, not on {settings.network}: set `network` to"
            f" {network}."
        )
    return Home(settings, network)


def _places(home: Home, database: str | None) -> dict[Name, Path | SharedDatabase]:
    """Where each part of a shop is."""
    folder, settings = home.folder / "merchant", merchant_parts.settings_of(home, database=database)
    places: dict[Name, Path | SharedDatabase] = {
        LOG: folder / merchant_parts.SIGNER_LOG,
        WALLET: home.wallet_folder / WALLET,
    }
    named = settings.database
    if named is not None and "://" in named:
        places[DUMP] = SharedDatabase(named, settings.postgresql_programs)
    else:
        places[SHOP] = Path(named) if named else folder / merchant_parts.DATABASE
    return places


def _is_there(place: Path | SharedDatabase) -> bool:
    return isinstance(place, SharedDatabase) or place.exists()


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
