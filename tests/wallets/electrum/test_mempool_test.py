"""A server that speaks Electrum's version 1.7 has its node test what we ask about."""

from dataclasses import replace

import pytest
from tests.wallets.electrum.scene import ROMANZ, TESTING, ElectrumScene
from tests.wallets.scenes import PAYMENT

from dovetail.bitcoin import OutPoint, Txid
from dovetail.testing.chain_contract import Stage
from dovetail.wallets.ports import Accepted, Refused

TEST = "blockchain.transaction.testmempoolaccept"
OTHER = replace(
    PAYMENT,
    inputs=(replace(PAYMENT.inputs[0], previous_output=OutPoint(Txid(bytes(32)), 0)),),
)


@pytest.fixture
def scene():
    played = ElectrumScene(make=TESTING)
    with played.server, played.chain:
        yield played


def test_the_node_says_that_it_would_take_it(scene):
    assert scene.chain.acceptance(PAYMENT) == Accepted(tested=True)


def test_the_node_says_that_it_would_not_and_why(scene):
    reason = "mandatory-script-verify-flag-failed (Invalid signature)"
    assert scene.chain.acceptance(OTHER) == Refused(reason)


def test_what_the_node_has_with_these_signatures_was_tested(scene):
    scene.show(Stage.WAITING)
    assert scene.chain.acceptance(PAYMENT) == Accepted(tested=True)


def test_what_is_in_a_block_is_accepted_whatever_its_signatures(scene):
    scene.show(Stage.CONFIRMED)
    assert scene.chain.acceptance(PAYMENT) == Accepted()


@pytest.mark.parametrize(
    "told",
    [
        [],
        [{}],
        [{"allowed": True}, {"allowed": True}],
        {"code": 2, "message": "daemon error"},
        {"allowed": True},
    ],
)
def test_what_is_no_verdict_leaves_it_to_our_own(scene, told):
    heard = scene._told
    scene._told = lambda method, *given: told if method == TEST else heard(method, *given)
    assert scene.chain.acceptance(PAYMENT) == Accepted()
    assert isinstance(scene.chain.acceptance(OTHER), Refused)


def test_a_server_that_cannot_is_asked_once():
    played = ElectrumScene(make=ROMANZ)
    offers: list[object] = []
    heard = played._told

    def listening(method, *given):
        if method == "server.version":
            offers.append(given[1])
        return heard(method, *given)

    played._told = listening  # type: ignore[method-assign]
    with played.server, played.chain as chain:
        assert [chain.acceptance(PAYMENT) for _ in range(3)] == [Accepted()] * 3
    assert offers.count("1.7") == 1


def test_a_server_that_hangs_up_on_the_question_leaves_it_to_our_own_verdict(scene):
    answer = scene.server.answer
    scene.server.answer = lambda session, line: b"" if b"1.7" in line else answer(session, line)
    assert scene.chain.acceptance(PAYMENT) == Accepted()
