"""Put together what flags, variables, the file and the defaults say."""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from platformdirs import user_config_path, user_data_path

from dovetail.cli.config.table import KEYS, PREFIX, TABLE, Settings
from dovetail.errors import ConfigurationError

_BY_NAME = {key.name: key for key in KEYS}
# What one may look for under the name of its kind.
_KINDS = {"esplora": "chain", "electrum": "chain"}


def load(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """All settings together, from flags, variables, the file and defaults.

    Raises `ConfigurationError`, which names the key.
    """
    values = {key.name: key.default for key in KEYS}
    written = _file(given, environment)
    table = _table(written.pop(TABLE, {}))
    for name, value in written.items():
        values[name] = _BY_NAME[name].read(name, _bare(value))
    for key in KEYS:
        if key.variable in environment:
            values[key.name] = key.read(key.variable, _bare(environment[key.variable]))
        if key.name in given:
            values[key.name] = key.read(key.name, _bare(given[key.name]))
    if values["data_dir"] is None:
        values["data_dir"] = user_data_path("dovetail", appauthor=False)
    return Settings(**values, mailroom=table)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"`{TABLE}` must be a table, [{TABLE}]: correct it.")
    return cast("dict[str, Any]", value)


def _bare(value: Any) -> Any:
    """Text without blanks around it, which nobody means."""
    return value.strip() if isinstance(value, str) else value


def _file(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    named = given.get("config") or environment.get(f"{PREFIX}CONFIG")
    try:
        path = Path(named).expanduser() if named else default_file()
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if named is None:
            return {}
        raise ConfigurationError(
            "The configuration file named by --config is not there: check its path."
        ) from None
    except (OSError, RuntimeError, ValueError) as error:  # no such user; no text; no path at all
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
    except (ValueError, RecursionError) as error:  # too long a number is no TOMLDecodeError
        line = getattr(error, "lineno", None)
        where = f" near line {line}" if line else ""
        raise ConfigurationError(
            f"The configuration file is not valid TOML{where}: correct it."
        ) from error
    for name in values:
        if name not in _BY_NAME and name != TABLE:
            raise ConfigurationError(_unknown(name))
    return values


def _unknown(name: str) -> str:
    near = get_close_matches(name, (*_BY_NAME, *_KINDS), n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    if near:
        meant = _KINDS.get(near[0], near[0])
        return f"The configuration has no key `{shown}`: did you mean `{meant}`?"
    return f"The configuration has no key `{shown}`: remove it."
