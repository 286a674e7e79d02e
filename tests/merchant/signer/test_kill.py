"""The signer is killed between what it records and what it answers."""

from pathlib import Path

import pytest
from tests.merchant.signer.deals import AMOUNT, Deal, SignersHouse
from tests.merchant.signer.served import process

from dovetail.bitcoin import Psbt, Sats
from dovetail.bitcoin.transaction import TxOut
from dovetail.errors import WalletError
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import SignerRefused


@pytest.fixture
def remote(tmp_path: Path):
    opened = RemoteSigner(SignerPlace(path=tmp_path / "signer.sock"))
    yield opened
    opened.close()


@pytest.fixture
def deal(tmp_path: Path) -> Deal:
    return SignersHouse(tmp_path / "another").deal


def ask(remote: RemoteSigner, deal: Deal, psbt: Psbt | None = None) -> Psbt:
    asked = psbt or deal.psbt()
    return remote.sign(
        deal.session,
        asked,
        inputs=deal.own,
        outputs=deal.named(asked),
        fallback=deal.fallback,
        fallback_index=3,
    )


def another(deal: Deal) -> Psbt:
    return deal.psbt(TxOut(Sats(deal.joined - 1), deal.cold), deal.change)


def test_killed_after_the_record_it_signs_nothing_else(
    tmp_path: Path, remote: RemoteSigner, deal: Deal
):
    with process(tmp_path, dies_after="record") as child:
        remote.open(deal.session, demand=AMOUNT)
        with pytest.raises(WalletError, match="does not answer"):
            ask(remote, deal)
        assert child.wait(10) == -9
    with process(tmp_path):
        with pytest.raises(SignerRefused, match="signed for this before"):
            ask(remote, deal, another(deal))
        signed = ask(remote, deal)
        assert sum(each.is_finalized for each in signed.inputs) == len(deal.own)


def test_killed_before_the_record_nothing_was_signed(
    tmp_path: Path, remote: RemoteSigner, deal: Deal
):
    with process(tmp_path, dies_after="reserve") as child:
        remote.open(deal.session, demand=AMOUNT)
        with pytest.raises(WalletError, match="does not answer"):
            ask(remote, deal)
        assert child.wait(10) == -9
    with process(tmp_path):
        assert set(remote.holders(deal.own)) == set(deal.own)
        other = another(deal)
        assert ask(remote, deal, other).unsigned_transaction == other.unsigned_transaction


def test_killed_after_a_demand_it_knows_the_demand(
    tmp_path: Path, remote: RemoteSigner, deal: Deal
):
    with (
        process(tmp_path, dies_after="open_session"),
        pytest.raises(WalletError, match="does not answer"),
    ):
        remote.open(deal.session, demand=AMOUNT)
    with process(tmp_path), pytest.raises(SignerRefused, match="the first one counts"):
        remote.open(deal.session, demand=1)


def test_a_client_reconnects_to_the_next_process(tmp_path: Path, remote: RemoteSigner):
    with process(tmp_path):
        first = remote.descriptors()
    with pytest.raises(WalletError, match="start it, or correct `signer`"):
        remote.descriptors()
    with process(tmp_path):
        assert remote.descriptors() == first
