import subprocess
import sys

import pytest

import dovetail

HEAVY = (
    "sqlalchemy",
    "alembic",
    "httpx2",
    "httpcore2",
    "bdkpython",
    "uvicorn",
    "starlette",
    "rich",
    "asyncio",
)


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def loaded_by(module: str, names: tuple[str, ...]) -> str:
    """Which of `names` an import loads that a bare interpreter, measured or not, does not."""
    found = "[n for n in names if n in sys.modules and n not in bare]"
    before = f"import sys; names, bare = {names!r}, {{*sys.modules}}"
    return run(f"{before}; import {module}; print({found})")


@pytest.mark.parametrize("name", dovetail.__all__)
def test_every_public_name_is_there(name):
    assert getattr(dovetail, name) is not None


def test_names_come_from_where_they_live():
    from dovetail.runtime.agent import Agent  # noqa: PLC0415 - the point of the test

    assert dovetail.Agent is Agent


@pytest.mark.parametrize(
    "module",
    [
        "dovetail",
        "dovetail.bitcoin",
        "dovetail.sessions.receiver.machine",
        "dovetail.sessions.sender.machine",
    ],
)
def test_the_core_loads_nothing_heavy(module):
    assert loaded_by(module, HEAVY) == "[]"


@pytest.mark.parametrize("module", ["dovetail.sessions.receiver", "dovetail.sessions.sender"])
def test_the_machines_load_on_first_use(module):
    heavy = (*HEAVY, "btclib_secp256k1", "cryptography", "dataclasses", "msgspec", "ssl")
    assert loaded_by(module, heavy) == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        _ = dovetail.Agnet  # type: ignore[attr-defined]


def test_dir_lists_what_is_not_loaded_yet():
    assert run("import dovetail; print(set(dovetail.__all__) <= set(dir(dovetail)))") == "True"


def test_a_missing_part_of_our_own_is_not_blamed_on_an_extra():
    program = """
import sys
sys.modules["dovetail.runtime.agent"] = None
try:
    from dovetail import Agent
except ImportError as error:
    print(error.name)
"""
    assert run(program) == "dovetail.runtime.agent"
