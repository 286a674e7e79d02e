"""The configuration: a flag, else a `DOVETAIL_…` variable, else the file, else a default."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from platformdirs import user_config_path, user_data_path

from dovetail.cli.options import NETWORKS, seconds
from dovetail.errors import ConfigurationError

PREFIX = "DOVETAIL_"

LOCAL_CHAIN = "http://127.0.0.1:3002"
LOCAL_MAILROOM = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked; durations in seconds, fee rates as decimal text in sat/vB."""

    data_dir: Path
    network: str | None
    wallet: str
    esplora: str | None
    directory: str | None
    relays: tuple[str, ...]
    direct: bool
    fee_target: int
    min_fee_rate: str
    max_fee_rate: str
    depth: int
    grace: int
    lifetime: int
    at_expiry: str
    watch_interval: float


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file: how its value is read, what it is by default, what it means."""

    name: str
    read: Callable[[str, Any], Any]
    default: Any
    default_words: str
    words: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"`{key}` must be text: correct it in the configuration.")
    return value.strip()


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        if value not in choices:
            raise ConfigurationError(f"`{key}` must be {_or(choices)}: correct it.")
        return str(value)

    return read


def _or(choices: tuple[str, ...]) -> str:
    *most, last = (f'"{choice}"' for choice in choices)
    return f"{', '.join(most)} or {last}" if most else last


def _folder(key: str, value: Any) -> Path:
    return Path(_text(key, value)).expanduser().absolute()


def _url(key: str, value: Any) -> str:
    text = _text(key, value)
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
        bare = parts.username is None and not parts.query and not parts.fragment
    except ValueError:
        sound = bare = False
    if not sound or not bare or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(
            f"`{key}` must be an http or https URL such as https://example.org: correct it."
        )
    return text.rstrip("/")


def _urls(key: str, value: Any) -> tuple[str, ...]:
    given: Any = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"`{key}` must be a list of URLs: correct it.")
    return tuple(_url(key, each) for each in cast("list[Any]", given))


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _truth(key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise ConfigurationError(f"`{key}` must be true or false: correct it.")


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if type(number) is not int or not least <= number <= most:
            raise ConfigurationError(
                f"`{key}` must be a whole number from {least} to {most}: correct it."
            )
        return number

    return read


def _duration(least: float, most: float) -> Callable[[str, Any], float]:
    def read(key: str, value: Any) -> float:
        found = seconds(value) if isinstance(value, str) else value
        sound = isinstance(found, int | float) and not isinstance(found, bool)
        if not sound or not least <= float(found or 0) <= most:
            raise ConfigurationError(
                f"`{key}` must be a duration from {_span(least)} to {_span(most)},"
                " such as 90s, 10m or 24h: correct it."
            )
        return float(found or 0)

    return read


def _span(value: float) -> str:
    for size, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if value and value % size == 0:
            return f"{value // size:.0f}{letter}"
    return f"{value:g}s"


def _seconds(least: float, most: float) -> Callable[[str, Any], int]:
    read = _duration(least, most)
    return lambda key, value: int(read(key, value))


def _rate(key: str, value: Any) -> str:
    text = str(value)
    whole, _, places = text.partition(".")
    plain = whole.isascii() and whole.isdigit() and len(whole) <= 6
    if isinstance(value, bool) or not plain or (places and not places.isdigit()):
        raise ConfigurationError(f"`{key}` must be a fee rate in sat/vB, such as 2.5: correct it.")
    return text


KEYS = (
    Key(
        "data_dir",
        _folder,
        None,
        "the platform's data directory",
        "Where wallet and sessions are kept, in one folder per network.",
    ),
    Key(
        "network",
        _choice(*NETWORKS),
        None,
        "the network of the only wallet there is",
        "mainnet, testnet, signet or regtest. A new wallet is never for a network by chance.",
    ),
    Key("wallet", _choice("bdk"), "bdk", "bdk", "The kind of wallet."),
    Key(
        "esplora",
        _url,
        None,
        f"{LOCAL_CHAIN} on regtest, else none",
        "The Esplora server that is asked about the chain. It sees your addresses: use your own"
        " or one you trust.",
    ),
    Key(
        "directory",
        _url,
        None,
        f"{LOCAL_MAILROOM} on regtest, else none",
        "The directory where a receiver has its mailbox.",
    ),
    Key(
        "relays",
        _urls,
        (),
        f"{LOCAL_MAILROOM} on regtest, else none",
        "OHTTP relays, which keep your network address from the directory. In a variable they are"
        " parted by commas.",
    ),
    Key(
        "direct",
        _truth,
        False,
        "false",
        "Allow going without a relay; the directory then sees your network address.",
    ),
    Key(
        "fee_target",
        _whole(1, 1008),
        6,
        "6",
        "Within how many blocks a payment shall confirm, where no fee rate is given.",
    ),
    Key(
        "min_fee_rate",
        _rate,
        "1",
        "1",
        "sat/vB: a receiver refuses an Original PSBT that pays less.",
    ),
    Key(
        "max_fee_rate",
        _rate,
        "50",
        "50",
        "sat/vB: the most a receiver pays for what it adds to a payjoin.",
    ),
    Key("depth", _whole(1, 144), 1, "1", "How many confirmations make a payment final."),
    Key(
        "grace",
        _seconds(0, 7 * 86_400),
        600,
        "10m",
        "How long after the expiration a receiver leaves a proposal it sent to the sender, before"
        " the fallback falls due.",
    ),
    Key(
        "lifetime",
        _seconds(60, 30 * 86_400),
        86_400,
        "24h",
        "How long a Payjoin URI is good for.",
    ),
    Key(
        "at_expiry",
        _choice("broadcast", "ask"),
        "broadcast",
        "broadcast",
        "What happens to an owed fallback when no payjoin came about: broadcast it, or ask.",
    ),
    Key(
        "watch_interval",
        _duration(0.1, 3600),
        15.0,
        "15s",
        "How long to wait between two looks at the chain.",
    ),
)

_BY_NAME = {key.name: key for key in KEYS}


def load(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """All settings together, from flags, variables, the file and defaults.

    Raises `ConfigurationError`, which names the key.
    """
    values = {key.name: key.default for key in KEYS}
    for name, value in _file(given, environment).items():
        values[name] = _BY_NAME[name].read(name, value)
    for key in KEYS:
        if key.variable in environment:
            values[key.name] = key.read(key.variable, environment[key.variable])
        if key.name in given:
            values[key.name] = key.read(key.name, given[key.name])
    if values["data_dir"] is None:
        values["data_dir"] = user_data_path("dovetail", appauthor=False)
    return Settings(**values)


def _file(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    named = given.get("config") or environment.get(f"{PREFIX}CONFIG")
    path = Path(named).expanduser() if named else default_file()
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if named is None:
            return {}
        raise ConfigurationError(
            "The configuration file named by --config is not there: check its path."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "The configuration file cannot be read: check that it is text and yours."
        ) from error
    return _parse(text)


def default_file() -> Path:
    """Where the configuration is kept unless `--config` says otherwise."""
    return user_config_path("dovetail", appauthor=False) / "config.toml"


def _parse(text: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        where = f" near line {line}" if line else ""
        raise ConfigurationError(
            f"The configuration file is not valid TOML{where}: correct it."
        ) from error
    for name in values:
        if name not in _BY_NAME:
            raise ConfigurationError(_unknown(name))
    return values


def _unknown(name: str) -> str:
    near = get_close_matches(name, _BY_NAME, n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    if near:
        return f"The configuration has no key `{shown}`: did you mean `{near[0]}`?"
    return f"The configuration has no key `{shown}`: remove it."
