"""The options that commands share."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from dovetail.cli.help_layout import EVERYWHERE, NETWORK, PROGRAMS, SERVER, WALLET, SectionedOption
from dovetail.cli.json_keys import EVENT
from dovetail.cli.option_types import Coin, Duration, Place, SessionNumber

F = TypeVar("F", bound=Callable[..., Any])
NETWORKS = ("mainnet", "testnet", "signet", "regtest")
MEMORY = "dovetail.flags"


def remember(ctx: click.Context, key: str, value: Any) -> None:
    """Keep what a flag says about the configuration's `key`."""
    ctx.meta.setdefault(MEMORY, {})[key] = value


def flags() -> dict[str, Any]:
    """The settings given by the flags of this command line."""
    found: dict[str, Any] = click.get_current_context().meta.get(MEMORY, {})
    return found


def listening(port: int) -> Callable[[F], F]:
    """The options of a server: where it listens and what folder is its own."""
    return together(
        click.option(
            "--listen",
            "place",
            type=Place(),
            default=f"127.0.0.1:{port}",
            show_default=True,
            help="Where to listen; port 0 is any.",
        ),
        click.option(
            "--data",
            "folder",
            metavar="DIR",
            type=click.Path(file_okay=False),
            help="The server's own folder, instead of one in the data directory.",
        ),
    )


def _serving(*names: str, **attributes: Any) -> Callable[[F], F]:
    return click.option(*names, cls=SectionedOption, section=SERVER, **attributes)


def served(*, public: bool) -> Callable[[F], F]:
    """The options of a command that serves BIP 78 senders; `public` where a URI is made."""
    return together(
        _serving(
            "--listen",
            "place",
            type=Place(),
            help="Serve senders that speak only BIP 78 here, yourself; port 0 is any.",
        ),
        *(
            _serving(
                "--public-url",
                metavar="URL",
                help="How senders reach --listen (or `run`): https, or http on an onion address.",
            )
            for _ in range(public)
        ),
        _serving(
            "--tls-cert",
            metavar="FILE",
            type=click.Path(dir_okay=False),
            help="Serve TLS with this certificate (PEM); without it, a proxy in front has to.",
        ),
        _serving(
            "--tls-key",
            metavar="FILE",
            type=click.Path(dir_okay=False),
            help="The certificate's key (PEM).",
        ),
    )


class JsonOption(SectionedOption):
    """`--json`, which knows the keys of what it prints."""

    section = PROGRAMS
    keys: Mapping[str, str] = {}


def documented(known: Mapping[str, str]) -> type[JsonOption]:
    """The kind of option whose output has these keys."""

    class Documented(JsonOption):
        keys = known

    return Documented


def json_option(keys: Mapping[str, str]) -> Callable[[F], F]:
    """Add `--json`; `keys` documents each key of the object, and the command keeps to them."""
    return click.option(
        "--json",
        "as_json",
        cls=documented(keys),
        is_flag=True,
        help="Print the result as one JSON object on stdout.",
    )


class EventsOption(JsonOption):
    """`--events`, likewise."""

    keys: Mapping[str, str] = EVENT


events = click.option(
    "--events",
    "as_events",
    cls=EventsOption,
    is_flag=True,
    help="Print what happens on stdout, at once, as one JSON object a line.",
)


def setting(key: str, section: str, *names: str, **attributes: Any) -> Callable[[F], F]:
    """An option that overrides the configuration's `key`, and its part of the help."""

    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value not in (None, ()):
            remember(ctx, key, value)

    return click.option(
        *names,
        cls=SectionedOption,
        section=section,
        expose_value=False,
        callback=callback,
        **attributes,
    )


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order they are listed."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


common = together(
    setting(
        "config",
        EVERYWHERE,
        "--config",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Read this configuration file instead of the usual one.",
    ),
    setting(
        "data_dir",
        EVERYWHERE,
        "--data-dir",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Keep wallet and sessions in this folder.",
    ),
    setting(
        "network",
        EVERYWHERE,
        "--network",
        type=click.Choice(NETWORKS),
        help="Which Bitcoin network to use.",
    ),
    setting(
        "verbose",
        EVERYWHERE,
        "-v",
        "--verbose",
        count=True,
        default=None,
        help="Say more on stderr; twice for still more.",
    ),
)

chain = setting(
    "chain",
    NETWORK,
    "--chain",
    metavar="URL",
    help="The Esplora or Electrum server to ask about the chain.",
)

routes = together(
    setting(
        "relays",
        NETWORK,
        "--relay",
        metavar="URL",
        multiple=True,
        help="An OHTTP relay; give it again for more.",
    ),
    setting(
        "direct",
        NETWORK,
        "--direct/--no-direct",
        is_flag=True,
        default=None,
        help="Go without a relay: the directory then sees your IP address.",
    ),
    setting(
        "tor", NETWORK, "--tor", metavar="URL", help="The SOCKS5 proxy of Tor, for onion addresses."
    ),
)

passphrase = together(
    setting(
        "passphrase_file",
        WALLET,
        "--passphrase-file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Read the wallet's passphrase from this file's first line.",
    ),
    setting(
        "passphrase_fd",
        WALLET,
        "--passphrase-fd",
        metavar="N",
        type=click.IntRange(min=0),
        help="Read it from this open file descriptor.",
    ),
    setting(
        "passphrase_keyring",
        WALLET,
        "--passphrase-keyring",
        is_flag=True,
        default=None,
        help="Take it from the system's keyring: see `wallet keyring`.",
    ),
)

directory = setting(
    "directory",
    NETWORK,
    "--directory",
    metavar="URL",
    multiple=True,
    help="The directory for the mailbox; give it again for others, to be used where it fails.",
)

high_fee = click.option(
    "--allow-high-fee", is_flag=True, help="Pay even a fee that looks far too high."
)

coin_control = click.option(
    "--coin",
    "coins",
    type=Coin(),
    multiple=True,
    help="Spend only this coin; give it again for more.",
)

timeout = click.option(
    "--timeout",
    "patience",
    type=Duration(),
    help="Leave after this long, such as 10m; the session stays resumable.",
)


def session_argument(command: F) -> F:
    """The number of one session."""
    return click.argument("session_id", metavar="ID", type=SessionNumber())(command)
