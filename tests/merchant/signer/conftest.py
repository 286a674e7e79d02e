from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.merchant.signer.deals import SignersHouse

from dovetail.bitcoin import ScriptType


@pytest.fixture(params=[ScriptType.P2WPKH, ScriptType.P2TR], ids=str)
def any_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SignersHouse]:
    """A signer of each kind of wallet."""
    made = SignersHouse(tmp_path, kind=request.param).opened()
    yield made
    made.log.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SignersHouse]:
    made = SignersHouse(tmp_path).opened()
    yield made
    made.log.close()
