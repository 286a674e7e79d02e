"""The settings and the one network that a command is about, before anything is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dovetail.bitcoin import FeeRate, Network
from dovetail.cli import overdue
from dovetail.cli.config import LOCAL_CHAIN, LOCAL_MAILROOM, Settings
from dovetail.cli.paths import NODE, WALLET, settings
from dovetail.errors import ConfigurationError, InvalidUri
from dovetail.locking import is_held
from dovetail.tor import SocksProxy
from dovetail.wallets.server_url import ChainServer

if TYPE_CHECKING:
    from dovetail.runtime.policy import Policy

CORE = "core"
ASK = "ask"
DATABASE = "sessions.db"
UNSET = {
    "chain": "an Esplora or Electrum server of your own, or one you trust with your addresses",
    "directory": "the mailroom where your payments come in",
    "relays": "OHTTP relays, which keep your IP address from the directory; or `direct = true`",
}
"""The settings that a command may miss, and what each is."""


@dataclass(frozen=True, slots=True)
class Home:
    """The settings, and the one network a command is about."""

    settings: Settings
    network: Network

    @property
    def folder(self) -> Path:
        """Where this network's wallet and sessions are kept."""
        return self.settings.data_dir / self.network.value

    @property
    def wallet_folder(self) -> Path:
        """Where its wallet is kept."""
        return self.folder / WALLET

    @property
    def node_folder(self) -> Path:
        """Where is kept what is known of a node and its wallet."""
        return self.folder / NODE

    @property
    def database(self) -> Path:
        """Where its sessions are kept."""
        return self.folder / DATABASE

    @property
    def chain(self) -> ChainServer:
        """The chain server; raises `ConfigurationError`."""
        url = self.settings.chain
        if url is None and self.network is Network.REGTEST:
            url = LOCAL_CHAIN
        if url is None:
            raise self._unset(
                f"No chain server is set for {self.network}: set `chain` to an Esplora or Electrum"
                " server of your own, or one you trust with your addresses."
            )
        return ChainServer(url, self.settings.chain_certificate, self.tor)

    @property
    def relay_fee_rate(self) -> FeeRate | None:
        """The least that nodes relay, where it is set."""
        told = self.settings.relay_fee_rate
        return None if told is None else FeeRate.from_sat_per_vb(told)

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories for new mailboxes; raises `ConfigurationError`."""
        named = self.settings.directory
        if not named and self.network is Network.REGTEST:
            named = (LOCAL_MAILROOM,)
        if not named:
            raise self._unset(
                "No directory is set: set `directory` to the mailroom where your payments come in."
            )
        from dovetail.protocol.uri import parse_directory  # noqa: PLC0415 - for those who ask

        try:
            return tuple(map(parse_directory, named))
        except InvalidUri as error:
            raise ConfigurationError(
                "`directory` must be an https origin such as https://example.org, or http on"
                " this machine: correct it."
            ) from error

    @property
    def relays(self) -> tuple[str, ...]:
        """The relays; none is right only where `direct` is set."""
        if not self.known_relays and not self.settings.direct:
            raise self._unset(
                "No OHTTP relay is set: set `relays`, or `direct = true` to let the directory"
                " see your IP address."
            )
        return self.known_relays

    @property
    def known_relays(self) -> tuple[str, ...]:
        """The relays, if there are any."""
        if self.network is Network.REGTEST and not self.settings.direct:
            return self.settings.relays or (LOCAL_MAILROOM,)
        return self.settings.relays

    @property
    def tor(self) -> SocksProxy | None:
        """The way to onion addresses; raises `ConfigurationError`."""
        return None if self.settings.tor is None else SocksProxy.parse(self.settings.tor)

    def require(self, *names: str) -> None:
        """Raises `ConfigurationError` where several of these are not set: it tells them all."""
        missing = [name for name in names if not self._is_set(name)]
        if len(missing) > 1:
            *most, last = (f"`{name}` ({UNSET[name]})" for name in missing)
            raise self._unset(f"Not set for {self.network}: {', '.join(most)} and {last}.")

    def _is_set(self, name: str) -> bool:
        if self.network is Network.REGTEST or (name == "chain" and self.settings.wallet == CORE):
            return True
        return bool(getattr(self.settings, name)) or (name == "relays" and self.settings.direct)

    def _unset(self, sentence: str) -> ConfigurationError:
        file = self.settings.file
        begin = "" if file.exists() else ", which `dovetail config init` begins"
        return ConfigurationError(f"{sentence} Put settings in {file}{begin}.")

    @property
    def policy(self) -> "Policy":
        """The user's standing decisions."""
        from dovetail.runtime.policy import AtExpiry, Policy  # noqa: PLC0415 - for those who ask

        settings = self.settings
        return Policy(
            depth=settings.depth,
            grace=settings.grace,
            at_expiry=AtExpiry(settings.at_expiry),
            min_fee_rate=FeeRate.from_sat_per_vb(settings.min_fee_rate),
            max_fee_rate=FeeRate.from_sat_per_vb(settings.max_fee_rate),
            fee_target=settings.fee_target,
            watch_interval=settings.watch_interval,
            unconfirmed_inputs=settings.unconfirmed_inputs,
        )

    @property
    def running(self) -> bool:
        """Whether a `dovetail run` works in this folder now."""
        return is_held(self.folder)

    @property
    def asks(self) -> bool:
        """Whether the policy asks before it broadcasts a fallback."""
        return self.settings.at_expiry == ASK


def home(*, tell: bool = True) -> Home:
    """The settings and the network, be it the only one with a wallet.

    Unless told not to, it says on stderr which sessions are overdue. Raises `ConfigurationError`.
    """
    place = _home()
    if tell:
        overdue.tell(place.folder, place.database, asks=place.asks)
    return place


def _home() -> Home:
    found = settings()
    if found.network is not None:
        return Home(found, Network(found.network))
    if found.wallet == CORE:
        raise ConfigurationError(
            "No `network` is set: say which one the node is on, such as with `--network signet`."
        )
    from dovetail.wallets.wallet_file import has_wallet  # noqa: PLC0415 - for those who look

    known = [each for each in Network if has_wallet(found.data_dir / each / WALLET)]
    if len(known) == 1:
        return Home(found, known[0])
    if known:
        raise ConfigurationError(
            "There are wallets on several networks: say which with `--network` or the key"
            " `network`."
        )
    raise ConfigurationError(
        "No `network` is set, and there is no wallet yet: make one, such as with"
        " `dovetail wallet new --network signet`."
    )
