"""What a search of the blocks does where a real node can hardly be brought to."""

from pathlib import Path
from typing import Any

import pytest
from tests.wallets.scripted_node import Refusal, node

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, TxIn, TxOut
from dovetail.errors import ChainError
from dovetail.wallets.core.blocks import BlockSearch

PARENT = Transaction(
    version=2,
    inputs=(TxIn(OutPoint.parse(f"{'11' * 32}:1")),),
    outputs=(TxOut(Sats(2_000), Script(b"\x00\x14" + bytes(20))),),
    lock_time=0,
)
COIN = OutPoint(PARENT.txid, 0)
SPENDER = Transaction(
    version=2,
    inputs=(TxIn(COIN),),
    outputs=(TxOut(Sats(1_000), Script(b"\x00\x14" + bytes(20))),),
    lock_time=0,
)
GONE = Refusal(-5)


class Blocks:
    """A chain of empty blocks, with one that spends the coin at `spent_at`, if any."""

    def __init__(self, height: int, spent_at: int | None = None, *, branch: str = "a") -> None:
        self.height, self.spent_at = height, spent_at
        self.names = [self._name(each, branch) for each in range(height + 1)]
        self.stale: dict[str, dict[str, Any]] = {}
        self.unspent_at: int | None = None

    @staticmethod
    def _name(height: int, branch: str) -> str:
        return f"{height:08x}".rjust(64, branch if height > 5 else "a")

    def says(self, **more: Any) -> dict[str, Any]:
        return {
            "getblockcount": lambda: self.height,
            "getblockchaininfo": {
                "chain": "regtest",
                "initialblockdownload": False,
                "blocks": self.height,
            },
            "getblockhash": self.hash_at,
            "getblockheader": self.header,
            "getblock": self.block,
            "gettxout": self.txout,
            "gettransaction": GONE,
            "listsinceblock": {"transactions": []},
            **more,
        }

    def hash_at(self, height: int) -> Any:
        return self.names[height] if height <= self.height else Refusal(-8)

    def header(self, blockhash: str) -> Any:
        if blockhash in self.stale:
            return self.stale[blockhash]
        if blockhash not in self.names:
            return GONE
        height = self.names.index(blockhash)
        return {
            "hash": blockhash,
            "height": height,
            "confirmations": self.height - height + 1,
            "previousblockhash": self.names[height - 1] if height else None,
        }

    def block(self, blockhash: str, verbosity: int) -> Any:
        height = self.names.index(blockhash)
        spends = height == self.spent_at
        if verbosity:
            spent = [{"txid": str(COIN.txid), "vout": COIN.vout}] if spends else [{}]
            return {"tx": [{"hex": SPENDER.serialize().hex(), "vin": spent}]}
        previous = bytes.fromhex(self.names[height - 1])[::-1]
        return (bytes(4) + previous + bytes(44) + (COIN.serialize() if spends else b"")).hex()

    def txout(self, **_: Any) -> Any:
        return None if self.unspent_at is None else {"bestblock": self.names[self.unspent_at]}


def test_a_coin_of_unknown_origin_is_searched_from_the_beginning(tmp_path: Path) -> None:
    blocks = Blocks(9, spent_at=7)
    found = BlockSearch(node(**blocks.says()), tmp_path / "memory").spend_of(COIN)
    assert found is not None
    assert (found.transaction, found.depth) == (SPENDER, 3)


def test_the_bytes_of_an_outpoint_elsewhere_in_a_block_are_no_spend() -> None:
    blocks = Blocks(9, spent_at=7)
    says = blocks.says()
    says["getblock"] = lambda blockhash, verbosity: (
        {"tx": []} if verbosity else blocks.block(blockhash, 0)
    )
    assert BlockSearch(node(**says), None).spend_of(COIN) is None


def test_a_reorganisation_while_blocks_are_read_ends_the_look() -> None:
    blocks = Blocks(9, spent_at=8)
    says = blocks.says(getblock=lambda **_: bytes(80).hex())
    with pytest.raises(ChainError, match="still being searched"):
        BlockSearch(node(**says), None).spend_of(COIN)
    says = blocks.says(getblockhash=lambda height: blocks.names[0] if not height else Refusal(-8))
    with pytest.raises(ChainError, match="still being searched"):
        BlockSearch(node(**says), None).spend_of(COIN)


def test_a_search_goes_back_to_where_the_chains_part() -> None:
    blocks = Blocks(7)
    blocks.unspent_at = 7
    says = blocks.says()
    search = BlockSearch(node(**says), None)
    assert search.spend_of(COIN) is None
    for height in (6, 7):
        name = blocks.names[height]
        blocks.stale[name] = {
            "hash": name,
            "height": height,
            "confirmations": -1,
            "previousblockhash": blocks.names[height - 1],
        }
    other = Blocks(9, spent_at=6, branch="b")
    blocks.height, blocks.names = other.height, other.names
    blocks.spent_at, blocks.unspent_at = 6, None
    found = search.spend_of(COIN)
    assert found is not None
    assert found.depth == 4


def test_a_block_that_is_not_known_any_more_begins_the_search_anew(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    blocks = Blocks(9)
    blocks.unspent_at = 9
    assert BlockSearch(node(**blocks.says()), memory).spend_of(COIN) is None
    other = Blocks(9, spent_at=7, branch="c")
    found = BlockSearch(node(**other.says()), memory).spend_of(COIN)
    assert found is not None
    assert found.depth == 3


def test_a_coin_of_the_wallet_is_searched_from_its_own_block() -> None:
    blocks = Blocks(9, spent_at=8)
    parent = {"hex": PARENT.serialize().hex(), "confirmations": 2, "blockhash": blocks.names[8]}
    found = BlockSearch(node(**blocks.says(gettransaction=parent)), None).spend_of(COIN)
    assert found is not None
    assert found.depth == 2


def test_a_coin_that_is_not_there_yet_is_not_searched_for() -> None:
    blocks = Blocks(9)
    says = blocks.says(gettransaction={"hex": PARENT.serialize().hex(), "confirmations": 0})
    assert BlockSearch(node(**says), None).spend_of(COIN) is None
    waiting = blocks.says(
        gettxout=lambda include_mempool, **_: {"bestblock": "00"} if include_mempool else None
    )
    assert BlockSearch(node(**waiting), None).spend_of(COIN) is None


def test_a_pruned_block_is_told_with_the_setting() -> None:
    says = Blocks(9, spent_at=8).says(getblock=Refusal(-1, "pruned"))
    with pytest.raises(ChainError, match=r"`core_url` names has pruned a block.*`prune`"):
        BlockSearch(node(**says), None).spend_of(COIN)


@pytest.mark.parametrize("method", ["getblock", "getblockheader"])
def test_other_troubles_are_passed_on(method: str) -> None:
    says = Blocks(9, spent_at=8).says(**{method: Refusal(-7)})
    with pytest.raises(ChainError, match="refused a request"):
        BlockSearch(node(**says), None).spend_of(COIN)


def test_what_is_no_block_is_not_understood() -> None:
    says = Blocks(9, spent_at=8).says(getblock="no hex")
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        BlockSearch(node(**says), None).spend_of(COIN)


def test_a_spend_that_leaves_the_chain_at_once_is_none() -> None:
    blocks = Blocks(9, spent_at=7)
    listed = {"transactions": [{"txid": "22" * 32, "confirmations": 1, "blockhash": "33" * 32}]}
    hex_ = {"hex": SPENDER.serialize().hex(), "confirmations": 1}

    def transaction(txid: str) -> Any:
        return hex_ if txid == "22" * 32 else GONE

    says = blocks.says(listsinceblock=listed, gettransaction=transaction)
    found = BlockSearch(node(**says), None).spend_of(COIN)
    assert found is not None
    assert found.depth == 3
    says = blocks.says(listsinceblock=listed, gettransaction=GONE)
    with pytest.raises(ChainError, match="refused a request"):
        BlockSearch(node(**says), None).spend_of(COIN)


def test_a_damaged_memory_costs_a_search_and_nothing_else(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.write_text("{")
    blocks = Blocks(9, spent_at=7)
    assert BlockSearch(node(**blocks.says()), memory).spend_of(COIN) is not None
    assert str(COIN) in memory.read_text()
    assert memory.stat().st_mode & 0o777 == 0o600


def test_a_coin_that_was_never_there_costs_no_month_of_blocks() -> None:
    blocks = Blocks(1_000)
    said = blocks.says()
    asked: list[str] = []

    def getblock(blockhash: str, verbosity: int) -> Any:
        asked.append(blockhash)
        return blocks.block(blockhash, verbosity)

    search = BlockSearch(node(**said | {"getblock": getblock}), None)
    assert search.spend_of(COIN) is None
    assert asked == blocks.names[-144:]
    assert search.spend_of(COIN) is None
    assert len(asked) == 144
