"""Where an extra is not installed, a name that needs it says which one, and what it is for."""

import json
import subprocess
import sys

import pytest
from tests.guides.stable import stable

from dovetail.extras import PURPOSES

NEEDS = (
    (
        "dovetail",
        "agent",
        (
            "Agent LiveReceiver LiveSender PlainPayment PreparedPayment Revocation Update"
            " fetch_ohttp_keys"
        ),
    ),
    ("dovetail.bip78", "cli", "V1Server load_tls serving"),
    ("dovetail.mailroom", "mailroom", "Mailroom MailroomServer create_app serve"),
    ("dovetail.merchant.client", "client", "AsyncShop Shop"),
    ("dovetail.regtest", "regtest", "RegtestNode RegtestServer esplora_app serve"),
    ("dovetail.stores.sql", "agent", "SqliteStore"),
    ("dovetail.stores.sql", "postgresql", "PostgresStore"),
    (
        "dovetail.testing.counting",
        "agent",
        "CountingChain CountingLog CountingStore CountingTransport CountingWallet",
    ),
    ("dovetail.testing.memory_transport", "agent", "MemoryTransport"),
    ("dovetail.wallets.bdk", "agent", "BdkWallet"),
    ("dovetail.wallets.core", "agent", "CoreChain CoreWallet"),
    ("dovetail.wallets.esplora", "agent", "EsploraChain"),
)
"""The names of each module that need an extra."""
FREE = {
    "dovetail.wallets.electrum": ["ElectrumChain"],
    "dovetail.stores.memory": ["MemoryStore"],
}
"""Names beside the public ones that need none."""

PROGRAM = """
import json, sys
from importlib import import_module

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

names, blocked = json.loads(sys.argv[1])
sys.meta_path.insert(0, Missing())
said = {}
for module, wanted in names.items():
    for name in wanted:
        try:
            getattr(import_module(module), name)
        except ImportError as error:
            said[f"{module}.{name}"] = str(error)
print(json.dumps(said))
"""
BLOCKED = [
    *("alembic", "bdkpython", "certifi", "click", "dns", "httpcore2", "pbk", "platformdirs"),
    *("psycopg", "publicsuffixlist", "segno", "sqlalchemy", "starlette", "uvicorn"),
]
"""What a bare installation does not have, as it is imported."""


def said_without_extras() -> dict[str, str]:
    """What each public name that cannot be had says in a bare installation."""
    names = {module: sorted(found) for module, found in stable().items()} | FREE
    for module, _, listed in NEEDS:
        names[module] = sorted({*names.get(module, ()), *listed.split()})
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([names, BLOCKED])],
        capture_output=True,
        check=True,
        text=True,
    )
    said: dict[str, str] = json.loads(told.stdout)
    return said


SAID = said_without_extras()


@pytest.mark.parametrize(
    ("name", "extra"),
    [(f"{module}.{name}", extra) for module, extra, listed in NEEDS for name in listed.split()],
)
def test_a_name_whose_extra_is_missing_says_which_and_what_for(name, extra):
    ending = (
        f", part of the extra `{extra}` ({PURPOSES[extra]}):"
        f" run `pip install 'dovetail-payjoin[{extra}]'`."
    )
    assert SAID[name].startswith(
        (f"{name} needs `", f"{name.rpartition('.')[0]} needs `", "Asking a")
    )
    assert SAID[name].endswith(ending)


def test_every_other_public_name_is_there_without_an_extra():
    needing = {f"{module}.{name}" for module, _, listed in NEEDS for name in listed.split()}
    assert SAID.keys() == needing


def test_what_is_missing_is_named():
    assert SAID["dovetail.wallets.bdk.BdkWallet"].startswith(
        "dovetail.wallets.bdk.BdkWallet needs `bdkpython`,"
    )
    assert SAID["dovetail.Agent"].startswith("dovetail.Agent needs `")
