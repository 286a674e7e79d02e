"""README and guides import what is stable, and the reference says what each stable name is."""

import ast
import re
from importlib import import_module

import pytest
from tests.guides.pages import ROOT, pages, read
from tests.guides.stable import stable
from tools.docs import api_page

STABLE = stable()
PAGE = (ROOT / "docs/reference/api.md").read_text()


def is_public(module: str, name: str) -> bool:
    """Whether it is a public name of a module, or a public module itself."""
    return name in STABLE.get(module, ()) or f"{module}.{name}" in STABLE


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_what_a_page_imports_is_stable(path):
    for node in ast.walk(ast.parse(read(path).program)):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for alias in node.names if module.startswith("dovetail") else ():
                assert is_public(module, alias.name), f"{module}.{alias.name}"
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("dovetail.") for alias in node.names)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("dovetail.wallets.bdk.wallet", "building"),
        ("dovetail.runtime.agent", "Agent"),
        ("dovetail.stores.ports", "Store"),
        ("dovetail.stores", "NESTED"),
        ("dovetail.wallets.ports", "Transaction"),
    ],
)
def test_what_the_page_does_not_name_is_not(module, name):
    assert not is_public(module, name)


@pytest.mark.parametrize("module", STABLE)
def test_the_reference_says_what_each_stable_name_is_and_of_no_other(module):
    assert frozenset(api_page.names_of(module)) == STABLE[module]
    _, section = PAGE.split(f"\n## `{module}`\n", 1)
    section = section.split("\n## ", 1)[0]
    for name in STABLE[module]:
        assert f"### `{name}`" in section or f"### `{name}(" in section, name
        assert getattr(import_module(module), name) is not None


def test_the_reference_has_no_module_that_is_not_stable():
    assert api_page.PUBLIC.keys() == STABLE.keys()


@pytest.mark.parametrize(
    ("column", "program"), [(1, "own_wallet.py"), (2, "own_payer.py")], ids=["receiver", "payer"]
)
def test_the_guide_names_what_a_role_asks_of_wallet_chain_and_store(column, program):
    guide = _wallets()
    rows = re.findall(r"^\| (wallet|chain|store) \|.*$", guide, re.MULTILINE)
    cells = {name: guide.split(f"| {name} |")[1].split("\n")[0].split("|") for name in rows}
    told = {name: set(re.findall(r"`(\w+)`", each[column - 1])) for name, each in cells.items()}
    source = (ROOT / "tests/typing" / program).read_text()
    calls = re.findall(r"self\.(wallet|chain|store)\.(\w+)", source)
    asked = {name: {method for port, method in calls if port == name} for name in told}
    assert set(told) == {"wallet", "chain", "store"}
    told["store"] -= {"new_receiver"}  # that log is made by whoever makes the receiver's till
    assert asked == told


def _wallets() -> str:
    return (ROOT / "docs/guides/wallets.md").read_text()
