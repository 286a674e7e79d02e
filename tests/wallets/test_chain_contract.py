"""Every chain source keeps the contract, in the words and versions of the servers there are."""

import pytest
from tests.wallets.core.scene import CORE_25, CORE_28, CORE_30, CoreScene
from tests.wallets.electrum.scene import ELECTRUMX, FULCRUM, LATEST, ROMANZ, TESTING, ElectrumScene
from tests.wallets.esplora.scene import (
    EsploraScene,
    behind_a_gate,
    blockstream,
    mempool_backend,
    mempool_electrs,
)

from dovetail.testing.chain_contract import UNHEARD_OF, ChainContract, Stage
from dovetail.wallets.ports import Refused

ELECTRUM = (ELECTRUMX, FULCRUM, ROMANZ, LATEST, TESTING)


class TestEsplora(ChainContract):
    @pytest.fixture(params=[blockstream, mempool_electrs, mempool_backend, behind_a_gate])
    def scene(self, request):
        played = EsploraScene(frame=request.param)
        with played.server, played.chain:
            yield played


class TestElectrum(ChainContract):
    @pytest.fixture(params=ELECTRUM, ids=lambda make: make.name)
    def scene(self, request):
        played = ElectrumScene(make=request.param)
        with played.server, played.chain:
            yield played


class TestBitcoinCore(ChainContract):
    @pytest.fixture(params=[CORE_25, CORE_28, CORE_30], ids=["25", "28", "30"])
    def scene(self, request):
        played = CoreScene(version=request.param)
        with played.chain:
            yield played

    def test_it_gives_the_transactions_of_its_wallet_and_its_mempool(self, scene) -> None:
        scene.show(Stage.WAITING)
        payment = scene.payment
        found = scene.chain.transactions([payment.txid, UNHEARD_OF.txid])
        assert found == {payment.txid: payment}

    def test_it_gives_the_time_of_a_block(self, scene) -> None:
        assert scene.chain.block_time(3) == 1_700_000_003

    def test_words_that_tell_neither_are_not_guessed_at(self, scene) -> None:
        scene.mumble()  # a node's own code always tells
        assert isinstance(scene.chain.broadcast(scene.payment), Refused)
