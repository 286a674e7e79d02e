import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGES = (
    "dovetail.bitcoin",
    "dovetail.bitcoin.psbt",
    "dovetail.crypto",
    "dovetail.merchant.messages",
    "dovetail.protocol",
    "dovetail.sessions.receiver",
    "dovetail.sessions.sender",
    "dovetail.wallets",
)
"""Those whose names load on first use."""


def shown_to_type_checkers(package: str) -> set[str]:
    """What stands under `if TYPE_CHECKING:`."""
    source = Path(str(import_module(package).__file__)).read_text()
    [block] = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    return {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module != package
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_a_type_checker_sees_the_names_that_there_are(package: str) -> None:
    loaded = import_module(package)
    assert set(loaded.__all__) == shown_to_type_checkers(package)
    assert set(loaded.__all__) <= set(dir(loaded))
    for name in loaded.__all__:
        assert getattr(loaded, name) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_a_modules_too(package: str) -> None:
    folder = Path(str(import_module(package).__file__)).parent
    modules = {path.stem for path in folder.iterdir()}
    assert not modules & set(import_module(package).__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Psbtt'"):
        _ = import_module(package).Psbtt


def test_a_module_is_found_by_its_name() -> None:
    program = "from dovetail.sessions import receiver; print(receiver.events.CODEC is not None)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout == b"True\n"
