"""Each URI that confuses is refused by the command line, before anything is opened."""

import pytest
from tests.cli.in_process import Cli
from tests.hostile.links import LINKS
from tests.hostile.record import Row
from tests.hostile.tricks import SPOILT

from dovetail.bitcoin import Sats, UnixTime
from dovetail.bitcoin.script import Address
from dovetail.cli.clock import clock
from dovetail.crypto import KeyConfig
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.uri import PayjoinUri, V2Endpoint


@pytest.fixture
def honest() -> str:
    """A Payjoin URI that would be paid, if there were a wallet."""
    key, gateway = SecretKey(b"\x0c" * 32), SecretKey(b"\x05" * 32)
    endpoint = V2Endpoint(
        "https://directory.example",
        key.public_key,
        KeyConfig(1, gateway.public_key),
        UnixTime(clock() + 3600),
    )
    address = Address.parse("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")
    return PayjoinUri(address, Sats(50_000), endpoint).serialize()


@pytest.mark.parametrize("row", SPOILT, ids=lambda each: each.name)
def test_the_link_is_refused_in_one_sentence(row: Row, honest: str, cli: Cli):
    spoilt = LINKS[row.key](honest)
    assert spoilt != honest
    said = cli("send", spoilt, "--yes")
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert row.told in said.err
    assert len(said.err.splitlines()) == 1
    assert said.err.rstrip("\n").isprintable()
    assert list(cli.folder.rglob("*.db")) == [], "something was begun"


def test_the_honest_link_gets_as_far_as_the_wallet(honest: str, cli: Cli):
    said = cli("send", honest, "--yes")
    assert "wallet" in said.err
    assert "URI" not in said.err
