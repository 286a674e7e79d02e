"""The options that commands share, and the types of what is typed after them."""

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from dovetail.cli.help_layout import EVERYWHERE, NETWORK, PROGRAMS, SERVER, WALLET, SectionedOption
from dovetail.cli.json_keys import EVENT

F = TypeVar("F", bound=Callable[..., Any])
NETWORKS = ("mainnet", "testnet", "signet", "regtest")
MEMORY = "dovetail.flags"
HIGHEST_PORT = 65_535
MOST_SATS = 2_100_000_000_000_000
EVERYTHING = -1
"""What `all` is read as, where an amount is asked for."""

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([smhdw]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def remember(ctx: click.Context, key: str, value: Any) -> None:
    """Keep what a flag says about the configuration's `key`."""
    ctx.meta.setdefault(MEMORY, {})[key] = value


def flags() -> dict[str, Any]:
    """What the flags of this command line say."""
    found: dict[str, Any] = click.get_current_context().meta.get(MEMORY, {})
    return found


def seconds(text: str) -> float | None:
    """Read a duration such as `90`, `90s`, `10m`, `24h` or `7d`; None for other text."""
    found = _DURATION.fullmatch(text.strip().lower())
    return None if found is None else float(found[1]) * _UNITS[found[2]]


class Amount(click.ParamType[int]):
    """Satoshis as a whole number; underscores may part the digits."""

    name = "SATS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Check that something can be paid."""
        text = str(value)
        if not re.fullmatch(r"[0-9]+(?:_[0-9]+)*", text, re.ASCII) or len(text) > 24:
            self.fail("give the amount in whole sats, such as 50000.", param, ctx)
        amount = int(text)
        if amount == 0:
            self.fail("nobody can pay 0 sats; ask for at least 1 sat.", param, ctx)
        if amount > MOST_SATS:
            self.fail("there are only 21 million bitcoins; give less.", param, ctx)
        return amount


class AmountOrAll(Amount):
    """The same, or `all` for everything that can be spent."""

    name = "SATS|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; `all` is `EVERYTHING`."""
        if str(value).lower() == "all":
            return EVERYTHING
        return super().convert(value, param, ctx)


class Coin(click.ParamType[str]):
    """A coin as `wallet coins` lists it."""

    name = "TXID:VOUT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check its form."""
        text = str(value).lower()
        if not re.fullmatch(r"[0-9a-f]{64}:[0-9]{1,9}", text, re.ASCII):
            self.fail("give a coin as `wallet coins` lists it, TXID:VOUT.", param, ctx)
        return text


class Duration(click.ParamType[float]):
    """Seconds, or a number with s, m, h, d or w after it."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it into seconds."""
        found = seconds(str(value))
        if found is None:
            self.fail("give a duration such as 90s, 10m, 24h or 7d.", param, ctx)
        return found


class Since(click.ParamType[int]):
    """A moment in the past: a date, a date with a time, or how long ago."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it into Unix seconds; what names no time zone is local."""
        text = str(value).strip()
        ago = None if text.isdecimal() else seconds(text)
        try:
            if ago is not None:
                return int(time.time() - ago)
            return int(datetime.fromisoformat(text).timestamp())
        except (ValueError, OverflowError, OSError):
            self.fail("give a date such as 2026-11-24, or how long ago, such as 7d.", param, ctx)


class Rate(click.ParamType[str]):
    """A fee rate in sat/vB, as plain decimal text."""

    name = "SAT/VB"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check its form; the exact value is read where it is used."""
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", text, re.ASCII):
            self.fail("give a fee rate in sat/vB, such as 2.5.", param, ctx)
        if not float(text):
            self.fail("a payment without a fee is never mined; give at least 0.1.", param, ctx)
        return text


class Place(click.ParamType[tuple[str, int]]):
    """Where a server listens: a host and a port, with an IPv6 address in brackets."""

    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Split it at the last colon."""
        host, colon, port = str(value).rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not colon or not bare or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
            self.fail("give a host and a port, such as 127.0.0.1:8080.", param, ctx)
        if int(port) > HIGHEST_PORT:
            self.fail(f"ports end at {HIGHEST_PORT}; give a lower one.", param, ctx)
        return bare, int(port)


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
    type=Duration(),
    help="Leave after this long, such as 10m; the session stays resumable.",
)


class SessionNumber(click.IntRange):
    """The number of a session, as `history` lists it; Tab knows those that are there."""

    def __init__(self) -> None:
        """Numbers begin at 1."""
        super().__init__(min=1)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The latest sessions whose numbers begin like this; none where they cannot be read."""
        del param
        from dovetail.cli.empty_store import latest  # noqa: PLC0415 - for Tab alone

        with ctx.scope(cleanup=False):
            found = latest(_COMPLETED)
        return [
            CompletionItem(str(number), help="open" if is_open else "closed")
            for number, is_open in found
            if str(number).startswith(incomplete)
        ]


_COMPLETED = 200


def session_argument(command: F) -> F:
    """The number of one session."""
    return click.argument("session_id", metavar="ID", type=SessionNumber())(command)
