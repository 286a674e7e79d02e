"""The contract of every chain source: inherit `ChainContract` in a test class, with a scene.

A scene is a server or node, real or simulated, that a test can bring into a state. A subclass
provides it by the pytest fixture `scene`::

    class TestMyChain(ChainContract):
        @pytest.fixture
        def scene(self):
            with MyScene() as scene:
                yield scene
"""

from enum import StrEnum
from typing import Protocol

import pytest

from dovetail.bitcoin import FeeRate, OutPoint, Script, Transaction, Txid, TxOut
from dovetail.errors import ChainError
from dovetail.wallets.ports import Accepted, Chain, Output, Refused, Spend, Unknown

UNHEARD_OF = OutPoint(Txid(b"\x5a" * 32), 3)

REFUSALS = (
    "bad-txns-inputs-missingorspent",
    "min relay fee not met, 528 < 529",
    "mempool min fee not met, 141 < 1410",
    "dust",
    "non-final",
    "txn-mempool-conflict",
    "insufficient fee, rejecting replacement; new feerate 0.00001 BTC/kvB <= old feerate 0.00002",
    "too-long-mempool-chain, too many unconfirmed ancestors [limit: 25]",
    "mandatory-script-verify-flag-failed (Signature must be zero for failed CHECK(MULTI)SIG)",
)
"""Some of Bitcoin Core's reasons to refuse a transaction, as it words them."""

ALREADY = (
    "Transaction outputs already in utxo set",
    "Transaction already in block chain",
    "txn-already-known",
)
"""Its words for a transaction that it has already, in a block or in its mempool."""


class Stage(StrEnum):
    """Where the scene's payment is."""

    UNSENT = "unsent"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    """Three deep."""


class Scene(Protocol):
    """A source, and the states that it can be brought into."""

    @property
    def chain(self) -> Chain:
        """The source, without any cache: each query is asked of the server."""
        ...

    @property
    def coin(self) -> tuple[OutPoint, TxOut]:
        """A coin that is in a block, and its output."""
        ...

    @property
    def payment(self) -> Transaction:
        """A transaction that spends it, whose first output pays a script that nothing else pays."""
        ...

    def show(self, stage: Stage) -> None:
        """Bring the payment to this stage; until then it is unsent."""
        ...

    def answer_broadcasts(self, words: str) -> None:
        """Have the node answer every broadcast with these words, in the source's own format.

        Its index knows nothing of the transaction.
        """
        ...

    def be_busy(self) -> None:
        """Have it answer every broadcast as if its node were still loading its blocks."""
        ...

    def mumble(self) -> None:
        """Have it answer every broadcast with words that mean neither yes nor no."""
        ...

    def go_away(self) -> None:
        """Stop answering."""
        ...


class ChainContract:
    """Run by pytest in the class that inherits it."""

    def test_a_coin_is_there_and_unspent(self, scene: Scene) -> None:
        outpoint, txout = scene.coin
        found = scene.chain.outputs([outpoint])
        assert found[outpoint].txout == txout
        assert found[outpoint].depth >= 1
        assert scene.chain.spends_of([outpoint]) == {}

    def test_what_was_never_there_is_absent(self, scene: Scene) -> None:
        outpoint, _ = scene.coin
        beyond = OutPoint(outpoint.txid, 4_000)
        assert scene.chain.outputs([UNHEARD_OF, beyond]) == {}
        assert scene.chain.spends_of([UNHEARD_OF]) == {}

    def test_a_payment_is_seen_in_the_mempool(self, scene: Scene) -> None:
        scene.show(Stage.WAITING)
        self._require_seen(scene, depth=0)

    def test_a_payment_is_seen_in_a_block(self, scene: Scene) -> None:
        scene.show(Stage.CONFIRMED)
        self._require_seen(scene, depth=3)

    @staticmethod
    def _require_seen(scene: Scene, *, depth: int) -> None:
        chain, payment = scene.chain, scene.payment
        outpoint, _ = scene.coin
        spends = chain.spends_of([outpoint, UNHEARD_OF])
        assert spends == {outpoint: Spend(transaction=payment, depth=depth)}
        first = OutPoint(payment.txid, 0)
        assert chain.outputs([first]) == {first: Output(payment.outputs[0], depth)}
        script: Script = payment.outputs[0].script_pubkey
        [paid] = chain.payments_to(script)
        assert chain.payments_to_each([script]) == {script: (paid,)}
        assert (paid.txid, paid.amount, paid.depth) == (
            payment.txid,
            payment.outputs[0].value,
            depth,
        )

    def test_nobody_paid_yet(self, scene: Scene) -> None:
        script = scene.payment.outputs[0].script_pubkey
        assert scene.chain.payments_to(script) == ()
        assert scene.chain.payments_to_each([script]) == {script: ()}

    def test_a_good_transaction_is_taken(self, scene: Scene) -> None:
        assert isinstance(scene.chain.broadcast(scene.payment), Accepted)

    @pytest.mark.parametrize("words", REFUSALS)
    def test_a_refusal_is_known_in_the_sources_own_frame(self, scene: Scene, words: str) -> None:
        scene.answer_broadcasts(words)
        verdict = scene.chain.broadcast(scene.payment)
        assert isinstance(verdict, Refused)
        assert words[:20] in verdict.reason
        assert scene.payment.serialize().hex()[:40] not in verdict.reason

    @pytest.mark.parametrize("words", ALREADY)
    def test_what_the_node_has_already_is_accepted(self, scene: Scene, words: str) -> None:
        scene.answer_broadcasts(words)
        assert isinstance(scene.chain.broadcast(scene.payment), Accepted)

    def test_a_busy_source_could_not_be_asked(self, scene: Scene) -> None:
        scene.be_busy()
        with pytest.raises(ChainError):
            scene.chain.broadcast(scene.payment)

    def test_words_that_tell_neither_are_not_guessed_at(self, scene: Scene) -> None:
        scene.mumble()
        assert isinstance(scene.chain.broadcast(scene.payment), Unknown)

    def test_fees_are_at_least_what_is_relayed(self, scene: Scene) -> None:
        least = scene.chain.min_fee_rate()
        assert least > FeeRate(0)
        assert scene.chain.fee_rate(target=6) >= least

    def test_a_source_that_is_away_says_nothing(self, scene: Scene) -> None:
        outpoint, _ = scene.coin
        scene.go_away()
        for ask in (
            scene.chain.height,
            lambda: scene.chain.spends_of([outpoint]),
            lambda: scene.chain.outputs([outpoint]),
            lambda: scene.chain.payments_to(scene.payment.outputs[0].script_pubkey),
            lambda: scene.chain.payments_to_each([scene.payment.outputs[0].script_pubkey]),
            lambda: scene.chain.acceptance(scene.payment),
            lambda: scene.chain.broadcast(scene.payment),
            lambda: scene.chain.fee_rate(target=6),
        ):
            with pytest.raises(ChainError):
                ask()
