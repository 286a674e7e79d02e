"""The map is of this country: its layers are import-linter's, and what it names is there."""

import re
import tomllib

import pytest
from tests.guides.pages import ROOT

from dovetail.stores.sql.schema import metadata

SOURCE = ROOT / "src/dovetail"
PAGE = (ROOT / "docs/architecture.md").read_text()
STORE = (ROOT / "docs/reference/store.md").read_text()
_DRAWN = re.search(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
_LINTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def test_the_layers_are_drawn_as_they_are_linted():
    assert _DRAWN
    drawn = [re.split(r"  +", line.strip())[0] for line in _DRAWN[1].splitlines()]
    layers = next(each["layers"] for each in _LINTED["contracts"] if each["type"] == "layers")
    assert [line for line in drawn if not line.startswith("─")] == layers


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:\w+/)*\w+(?:/|\.py))`", PAGE))))
def test_what_the_map_names_is_there(name):
    assert (SOURCE / name).exists() or (ROOT / name).exists()


def test_each_room_is_on_the_map():
    rooms = {f"{path.name}/" for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in SOURCE.glob("*.py")} - {"__init__.py"}
    assert [name for name in sorted(rooms | modules) if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("table", metadata.tables.values(), ids=lambda table: table.name)
def test_the_tables_are_as_the_reference_has_them(table):
    (row,) = re.findall(rf"^\| `{table.name}` \| .* \| (.*) \|$", STORE, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == [column.name for column in table.columns]
