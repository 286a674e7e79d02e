"""A shop that pays refunds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.merchant.refunds import RefundShop, open_refund_shop

from dovetail.regtest import RegtestServer


@pytest.fixture
def regtest() -> Iterator[RegtestServer]:
    with RegtestServer() as server:
        yield server


@pytest.fixture
def shop(database, clock, tmp_path: Path, regtest: RegtestServer) -> Iterator[RefundShop]:
    with open_refund_shop(database, clock, tmp_path, regtest) as opened:
        yield opened
