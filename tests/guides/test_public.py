import ast
import re

import pytest
from tests.guides.pages import ROOT, pages, read

STABLE = " ".join((ROOT / "docs/reference/stability.md").read_text().split())


def is_public(module: str, name: str) -> bool:
    """Whether the page names the whole module, `dovetail.x`, or `A`, `B` and `Name` of it."""
    if re.search(rf"`{name}`[A-Za-z`, ]* of `{re.escape(module)}`", STABLE):
        return True
    whole = rf"(?<! of )`{re.escape(module)}(?:\.{re.escape(name)})?`"
    return re.search(whole, STABLE) is not None


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
    [("dovetail.wallets.bdk", "building"), ("dovetail.runtime.agent", "Agent")],
)
def test_what_the_page_does_not_name_is_not(module, name):
    assert not is_public(module, name)
