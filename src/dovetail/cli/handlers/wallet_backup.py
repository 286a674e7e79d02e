"""`dovetail wallet backup` and `restore`: the wallet and its sessions in one encrypted file."""

from io import BytesIO
from pathlib import Path

from dovetail.cli import context, json_keys, open_parts, passphrases, paths
from dovetail.cli.clock import clock
from dovetail.cli.config import LOCAL_CHAIN
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import transfer, wallet_secrets
from dovetail.cli.output import Screen, local_time
from dovetail.errors import ConfigurationError, UsageError
from dovetail.stores.sql import SqliteStore
from dovetail.stores.transfer import Imported, every_session, export_sessions, import_sessions
from dovetail.wallets.backups import LARGEST, Backup, ClosedBackup, serialize_backup
from dovetail.wallets.bdk.wallet import BdkWallet

_NODES = "`bitcoin-cli backupwallet`, and `dovetail export --all --with-secrets` for the sessions"


def backup(file: Path, screen: Screen) -> int:
    """Write the wallet and its sessions to a new file."""
    place = context.home()
    wallet = wallet_secrets.own_wallet(place, _NODES)
    passphrase = passphrases.unlock(wallet, place) or _of_its_own(place)
    with transfer.new_file(file) as out:
        sessions, count, live = _sessions(place)
        whole = Backup(
            secret=wallet.secret(),
            revealed=wallet.revealed(),
            made_at=clock(),
            sessions=sessions,
        )
        out.write(serialize_backup(whole, passphrase))
    screen.say(f"The wallet and {count} {_sessions_word(count)} are in {file}, encrypted.")
    if live:
        screen.say(
            f"{live} of them {'is' if live == 1 else 'are'} open: make a new backup when they have"
            " moved on, and never go on with them in two places."
        )
    screen.emit(json_keys.WALLET_BACKUP, {"file": str(file), "sessions": count, "open": live})
    return Exit.DONE


def restore(file: Path, screen: Screen) -> int:
    """Restore the wallet and the sessions of a backup."""
    closed = ClosedBackup(_read(file))
    settings = paths.settings()
    if settings.wallet == context.CORE:
        raise ConfigurationError(
            'With `wallet = "core"` the node keeps the wallet: remove that setting to restore a'
            " backup of Dovetail's own."
        )
    if settings.network not in (None, closed.network.value):
        raise UsageError(
            f"The backup is of a wallet on {closed.network}, not on {settings.network}: choose"
            " that network, or none."
        )
    place = Home(settings, closed.network)
    if BdkWallet.exists(place.wallet_folder):
        raise ConfigurationError(
            f"There is a wallet on {place.network} already, and it stays as it is. Choose another"
            " `--data-dir`."
        )
    passphrase, found = passphrases.tried(
        closed.decrypt, "backup", passphrases.named(settings.passphrase_file)
    )
    paths.make_folder(place.folder)
    # The sessions come first: importing twice changes nothing, but a wallet can be made only once.
    told = _taken_in(place, found.sessions, screen)
    wallet = BdkWallet.keep(
        place.wallet_folder,
        found.secret,
        passphrase,
        server=LOCAL_CHAIN if settings.chain is None else place.chain,
    )
    wallet.reveal_to(found.revealed)
    screen.say(
        f"The wallet on {place.network} is there, as of {local_time(found.made_at)}. Next:"
        " `dovetail wallet balance`, then `dovetail resume` where sessions are open."
    )
    screen.emit(
        json_keys.WALLET_RESTORE,
        {
            "network": place.network.value,
            "kind": wallet_secrets.NAMES[wallet.kind],
            "made_at": found.made_at,
            "sessions": [transfer.values(each) for each in told],
        },
    )
    return Exit.FAILED if any(map(transfer.is_refused, told)) else Exit.DONE


def _of_its_own(place: Home) -> str:
    """The passphrase of a backup whose wallet has none."""
    given = passphrases.named(place.settings.passphrase_file)
    if given is not None:
        return given
    return passphrases.chosen("Passphrase of the backup")


def _sessions(place: Home) -> tuple[bytes, int, int]:
    """The sessions' export, how many they are, and how many of them are open."""
    with open_parts.open_store(place) as store:
        if store is None:
            return b"", 0, 0
        every = every_session(store)
        lines = b"".join(export_sessions(store, every, secrets=True))
        return lines, len(every), len(store.live())


def _taken_in(place: Home, sessions: bytes, screen: Screen) -> list[Imported]:
    if not sessions:
        return []
    told: list[Imported] = []
    with SqliteStore.open(place.database) as store:
        for each in import_sessions(store, BytesIO(sessions)):
            told.append(each)
            screen.result(transfer.sentence(each))
    return told


def _sessions_word(count: int) -> str:
    return "session" if count == 1 else "sessions"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Name another file.") from error
    if len(data) > LARGEST:
        raise UsageError(f"{path} is too large to be a backup: name another file.")
    return data
