"""A chain source's network is told by the time of its first block."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from dovetail.bitcoin import Network, UnixTime
from dovetail.bitcoin.hashes import hash256
from dovetail.errors import ConfigurationError
from dovetail.merchant.services.clocks import GENESIS, require_network

COINBASE = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
COINBASE_4 = "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e"
HEADERS = {
    Network.MAINNET: (
        *(COINBASE, 0x1D00FFFF, 2_083_236_893),
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    ),
    Network.TESTNET: (
        *(COINBASE_4, 0x1D00FFFF, 393_743_547),
        "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    ),
    Network.SIGNET: (
        *(COINBASE, 0x1E0377AE, 52_613_770),
        "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    ),
    Network.REGTEST: (
        *(COINBASE, 0x207FFFFF, 2),
        "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
    ),
}
"""Merkle root, bits and nonce of each first block, and its hash (BIP 94, BIP 325, Bitcoin Core)."""


@dataclass
class FirstBlock:
    at: int

    def block_time(self, height: int) -> UnixTime:
        assert height == 0
        return UnixTime(self.at)


def require(at: int, network: Network) -> None:
    require_network(cast("Any", FirstBlock(at)), network)


@pytest.mark.parametrize("network", Network)
def test_the_times_are_those_of_the_first_blocks(network: Network) -> None:
    merkle_root, bits, nonce, block_hash = HEADERS[network]
    numbers = (each.to_bytes(4, "little") for each in (GENESIS[network], bits, nonce))
    header = b"\1\0\0\0" + bytes(32) + bytes.fromhex(merkle_root)[::-1] + b"".join(numbers)
    assert hash256(header)[::-1].hex() == block_hash


@pytest.mark.parametrize("network", Network)
def test_a_source_of_the_network_is_taken(network: Network) -> None:
    require(GENESIS[network], network)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (GENESIS[Network.MAINNET], "on mainnet, not on signet"),
        (GENESIS[Network.REGTEST], "on regtest or the old testnet 3, not on signet"),
        (5, "on another network, not on signet"),
    ],
)
def test_a_source_of_another_network_is_refused(at: int, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`chain` is {words}: give one of signet"):
        require(at, Network.SIGNET)
