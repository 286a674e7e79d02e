"""Put together what flags, variables, the file and the defaults say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, cast

from platformdirs import user_data_path

from dovetail.cli.config import file
from dovetail.cli.config.file import File
from dovetail.cli.config.table import KEYS, TABLES, Key, Settings, variables_of
from dovetail.errors import ConfigurationError

_BY_NAME = {key.name: key for key in KEYS}
# Keys that people may look for under another name.
_KINDS = {"esplora": "chain", "electrum": "chain"}


@dataclass(frozen=True, slots=True)
class Found:
    """The value of a key, and who says so: `flag`, `variable`, `file` or `default`."""

    value: Any
    origin: str


def load(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """All settings together, from flags, variables, the file and defaults.

    Raises `ConfigurationError`, which names the key, and the file and line where it stands there.
    """
    written = file.read(given, environment)
    values: dict[str, Any] = {
        name: found.value for name, found in look_up(written, given, environment).items()
    }
    tables: dict[str, Any] = {
        name: written.reading(name, partial(_table, name, written.values.get(name, {})))
        for name in TABLES
    }
    return Settings(**values | tables, file=written.path)


def look_up(
    written: File, given: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Found]:
    """Each key's value, and who says so. Raises `ConfigurationError`, as `load` does."""
    for name in written.values:
        if name not in _BY_NAME and name not in TABLES:
            written.reading(name, partial(_refuse, name))
    return {key.name: _look_up(key, written, given, environment) for key in KEYS}


def look_up_table(
    table: str,
    keys: Mapping[str, Key],
    written: File,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
) -> dict[str, Found]:
    """The value of each of a table's keys that somebody sets, and who says so.

    Raises `ConfigurationError`, also for a key or a variable that the table does not have.
    """
    values = written.reading(table, partial(_table, table, written.values.get(table, {})))
    for name in values:
        if name not in keys:
            written.reading(name, partial(_refuse_in, table, name, keys), table=table)
    for name in environment:
        if name.startswith(variables_of(table)) and name.removeprefix(variables_of(table)):
            _require_variable(name, keys)
    found: dict[str, Found] = {}
    for name, key in keys.items():
        if name in values:
            read = partial(key.read, key.full_name, _bare(values[name]))
            found[name] = Found(written.reading(name, read, table=table), "file")
        if key.variable in environment:
            found[name] = Found(
                key.read(key.variable, _bare(environment[key.variable])), "variable"
            )
        if name in given:
            found[name] = Found(given[name], "flag")
    return found


def _require_variable(variable: str, keys: Mapping[str, Key]) -> None:
    known = [key.variable for key in keys.values()]
    if variable in known:
        return
    near = get_close_matches(variable, known, n=1, cutoff=0.8)
    advice = f"did you mean `{near[0]}`?" if near else "remove it."
    shown = variable if variable.isidentifier() and len(variable) <= 60 else "?"
    raise ConfigurationError(f"The variable `{shown}` sets nothing: {advice}")


def _refuse_in(table: str, name: str, keys: Mapping[str, Key]) -> None:
    near = get_close_matches(name, keys, n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    advice = f"did you mean `{near[0]}`?" if near else "remove it."
    raise ConfigurationError(f"the table [{table}] has no key `{shown}`: {advice}")


def _look_up(
    key: Key, written: File, given: Mapping[str, Any], environment: Mapping[str, str]
) -> Found:
    found = Found(_default(key), "default")
    if key.name in written.values:  # what is wrong there is told, even where it does not count
        value = _bare(written.values[key.name])
        found = Found(written.reading(key.name, lambda: key.read(key.name, value)), "file")
    if key.variable in environment:
        found = Found(key.read(key.variable, _bare(environment[key.variable])), "variable")
    if key.name in given:
        found = Found(key.read(key.name, _bare(given[key.name])), "flag")
    return found


def _default(key: Key) -> Any:
    return user_data_path("dovetail", appauthor=False) if key.name == "data_dir" else key.default


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"`{name}` must be a table, [{name}]: correct it.")
    return cast("dict[str, Any]", value)


def _bare(value: Any) -> Any:
    """Strip blanks around text."""
    return value.strip() if isinstance(value, str) else value


def _refuse(name: str) -> None:
    near = get_close_matches(name, (*_BY_NAME, *_KINDS), n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    if near:
        meant = _KINDS.get(near[0], near[0])
        raise ConfigurationError(f"the configuration has no key `{shown}`: did you mean `{meant}`?")
    raise ConfigurationError(f"the configuration has no key `{shown}`: remove it.")
