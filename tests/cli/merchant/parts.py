"""Parts of a shop that tests start or look into."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from tests.merchant.signer.deals import SignersHouse
from tests.merchant.signer.served import serving

from dovetail.merchant.signer.place import SignerPlace


@contextmanager
def signer(tmp_path: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as short:
        place = SignerPlace(path=Path(short) / "signer.sock")
        with serving(SignersHouse(tmp_path), place):
            yield str(place)


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in found}
