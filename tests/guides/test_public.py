"""README and guides import what is stable, and the reference says what each stable name is."""

import ast
from importlib import import_module

import pytest
from tests.guides.pages import pages, read
from tests.guides.stable import stable

from dovetail.cli import api_page

STABLE = stable()
PAGE = api_page.page()


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
        ("dovetail.wallets.bdk", "building"),
        ("dovetail.runtime.agent", "Agent"),
        ("dovetail.stores.ports", "NESTED"),
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
