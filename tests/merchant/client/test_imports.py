"""The client loads nothing of the shop's own side."""

import subprocess
import sys

PROGRAM = """
import sys
from dovetail.merchant.client import AsyncShop, Shop, verify_webhook
Shop("https://shop.example", "dvt_x").close()
print(*sorted(sys.modules))
"""
FOREIGN = ("litestar", "sqlalchemy", "alembic", "uvicorn", "psycopg", "bdkpython", "procrastinate")
OWN = tuple(
    f"dovetail.merchant.{each}"
    for each in ("api", "data", "engine", "services", "signer", "wallet")
)


def test_the_client_loads_neither_server_nor_database() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "httpcore2" in loaded
    assert loaded.isdisjoint({*FOREIGN, *OWN}), loaded & {*FOREIGN, *OWN}
