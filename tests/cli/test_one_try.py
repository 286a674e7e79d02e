"""What `--no-wait` leaves after its first try, whatever came of it, and what it says then."""

import json

import pytest
from tests.cli.in_process import Cli, Said
from tests.cli.test_paying import fresh, received

from dovetail.bitcoin import Transaction
from dovetail.cli import json_keys
from dovetail.errors import ChainError
from dovetail.regtest import RegtestNode
from dovetail.regtest.policy import PolicyRejection
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Unknown

NOT_YET = "The payment may not have been sent yet: Dovetail tried once and has to try again."
GO_ON = "`dovetail run` is not running: keep `dovetail resume 1` open until this is done."
NOBODY = "http://127.0.0.1:1"
# A test that waits for a second try fails by this, long before anybody's patience.
pytestmark = pytest.mark.timeout(60)


def unreachable(patch: pytest.MonkeyPatch) -> None:
    def broadcast(*_: object) -> None:
        raise ChainError("The chain server cannot be reached.")

    patch.setattr(EsploraChain, "broadcast", broadcast)


def refusing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RegtestNode, "send", lambda *_: PolicyRejection("min relay fee not met"))


def silent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EsploraChain, "broadcast", lambda *_: Unknown("it says nothing"))


def left_open(said: Said, trouble: str) -> None:
    assert said.code == 3
    assert NOT_YET in said.err
    assert said.err.endswith(f"{GO_ON}\n")
    assert "Next try" not in said.err
    assert set(said.json) >= {"trouble", "next"}
    assert trouble in said.json["trouble"]
    assert trouble in said.err
    assert said.json["next"] == GO_ON
    assert said.json["outcome"] is None


def mining(patch: pytest.MonkeyPatch) -> None:
    send = RegtestNode.send

    def send_and_mine(node: RegtestNode, transaction: Transaction) -> object:
        answer = send(node, transaction)
        node.mine(1)
        return answer

    patch.setattr(RegtestNode, "send", send_and_mine)


def paid_later(payer: Cli) -> None:
    with pytest.MonkeyPatch.context() as patch:
        mining(patch)
        done = payer("resume")
    assert done.code == 0
    assert done.out.startswith("Paid by the ordinary payment")


@pytest.mark.parametrize("command", ["pay", "send --plain"])
@pytest.mark.parametrize(
    ("network", "trouble"),
    [
        (unreachable, "cannot be reached"),
        (refusing, "The network refuses the ordinary payment for now"),
        (silent, "does not say whether the network took"),
    ],
)
def test_an_ordinary_payment_is_left_after_one_try(person, chain, command, network, trouble):
    bob, address = person("bob", 300_000), fresh(person)
    link = f"bitcoin:{address}?amount=0.0005&pj=https://127.0.0.1:1/pj"
    words = (*command.split(), link, "--yes", "--no-wait", "--fee-rate", "2")
    with pytest.MonkeyPatch.context() as patch:
        network(patch)
        said = bob(*words, "--json")
    left_open(said, trouble)
    assert set(said.json) == set(json_keys.PAY)
    assert said.json["status"] == "fallback-pending"
    assert received(chain, address) == []
    refused = bob(*words)
    assert refused.code == 2, "the payment is not over, and would be made twice"
    paid_later(bob)


@pytest.mark.parametrize("how", ["relay", "receiver"])
def test_a_payjoin_is_left_after_one_try_to_ask_for_it(person, how):
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    if how == "receiver":
        uri = f"bitcoin:{fresh(person)}?amount=0.0005&pj={NOBODY.replace('http', 'https')}/pj"
    relays, bob.settings["relays"] = bob.settings["relays"], NOBODY
    said = bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2", "--json")
    left_open(said, "127.0.0.1:1" if how == "relay" else "The receiver's server failed")
    assert set(said.json) == set(json_keys.SEND)
    assert said.json["status"] == "sending-original"
    if how == "relay":
        bob.settings["relays"] = relays
        (session,) = bob("resume", "--timeout", "4s", "--json").json["sessions"]
        assert session["status"] == "waiting-for-proposal"


def test_what_went_well_tells_no_trouble(person, chain):
    bob, address = person("bob", 300_000), fresh(person)
    said = bob("pay", address, "50000", "--yes", "--no-wait", "--json")
    assert said.code == 0
    assert said.json["trouble"] is None
    assert NOT_YET not in said.err
    assert received(chain, address) == [50_000]


def test_a_program_hears_that_the_command_left(person):
    bob = person("bob", 300_000)
    with pytest.MonkeyPatch.context() as patch:
        refusing(patch)
        said = bob("pay", fresh(person), "50000", "--yes", "--no-wait", "--events")
    told = [json.loads(line)["event"] for line in said.lines]
    assert told[-2:] == ["trouble", "left"]


def test_who_waits_sees_the_next_try(person):
    bob = person("bob", 300_000)
    with pytest.MonkeyPatch.context() as patch:
        refusing(patch)
        said = bob("pay", fresh(person), "50000", "--yes", "--timeout", "5s")
    assert said.code == 3
    assert "Next try in" in said.err
    assert NOT_YET not in said.err
