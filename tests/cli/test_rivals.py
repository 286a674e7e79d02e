"""A payment whose coins somebody else spends is told as that, with the rival's txid."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from tests.cli.in_process import Cli, Said

from dovetail.regtest import RegtestServer

Person = Callable[..., Cli]


@dataclass(frozen=True, slots=True)
class Scene:
    """A payer, whoever else has the payer's words, and who is to be paid."""

    alice: Cli
    twin: Cli
    bob: Cli
    elsewhere: str

    def asked(self) -> str:
        return self.bob("receive", "20000", "--no-wait", "--no-qr").out.strip()

    def pays(self) -> None:
        """Have the payer's offer in the directory, and the payer gone."""
        self.alice("send", self.asked(), "--yes", "--timeout", "1s")

    def double_spends(self) -> str:
        """Spend the payment's coin elsewhere, as a wallet with the same words can; the txid."""
        words = ("--yes", "--timeout", "1s", "--fee-rate", "5", "--json")
        said = self.twin("pay", self.elsewhere, "90000", *words)
        return str(said.json["txid"])


@pytest.fixture
def scene(person: Person) -> Scene:
    alice, bob = person("alice", 100_000), person("bob", 50_000)
    folder = alice.folder.with_name("twin")
    shutil.copytree(alice.folder, folder)
    elsewhere = person("else")("wallet", "address").out.strip()
    return Scene(alice, replace(alice, folder=folder), bob, elsewhere)


def resumed(who: Cli) -> Said:
    return who("resume", "1", "--timeout", "2s")


def is_told(who: Cli, resuming: Said, rival: str, words: str) -> None:
    """By every command that says where a session stands."""
    assert words in f"{resuming.out}{resuming.err}".lower()
    is_still_told(who, rival, words)
    assert rival in resuming.out + resuming.err


def is_still_told(who: Cli, rival: str, words: str) -> None:
    for each in (who("show", "1").out, who("history").out):
        assert rival in each, each
        assert words in each.lower(), each


def test_a_payer_who_waits_for_an_answer(scene: Scene, chain: RegtestServer) -> None:
    scene.pays()
    rival = scene.double_spends()
    is_told(scene.alice, resumed(scene.alice), rival, "spends this session's coins")
    assert scene.alice("show", "1", "--json").json["reason"] == "inputs-already-spent"
    chain.node.mine()
    is_told(scene.alice, resumed(scene.alice), rival, "spen")
    assert scene.alice("show", "1", "--json").json["outcome"] == "unrecognized"


def test_a_payer_whose_receiver_saw_it_first_is_told_the_cause_and_not_what_came_of_it(
    scene: Scene,
) -> None:
    scene.pays()
    rival = scene.double_spends()
    resumed(scene.bob)  # whose refusal lies in the payer's mailbox now
    is_told(scene.alice, resumed(scene.alice), rival, "spends this session's coins")
    assert scene.alice("show", "1", "--json").json["reason"] == "inputs-already-spent"


def test_a_receiver_whose_sender_had_double_spent(scene: Scene, chain: RegtestServer) -> None:
    scene.pays()
    rival = scene.double_spends()
    told = resumed(scene.bob)
    is_told(scene.bob, told, rival, "another transaction")
    shown = scene.bob("show", "1")
    assert "A payment came that does not count; waiting for another one." in shown.out
    assert "no payment has come" not in shown.out
    assert scene.bob("show", "1", "--json").json["seen"]["kind"] == "double-spend"
    chain.node.mine()
    resumed(scene.bob)
    is_still_told(scene.bob, rival, "another transaction")


def test_a_receiver_who_has_sent_the_payjoin(scene: Scene, chain: RegtestServer) -> None:
    scene.pays()
    resumed(scene.bob)
    rival = scene.double_spends()
    is_told(scene.bob, resumed(scene.bob), rival, "spends this session's coins")
    assert "confirm only if that one does not" in scene.bob("show", "1").out
    chain.node.mine()
    is_told(scene.bob, resumed(scene.bob), rival, "spen")
    assert scene.bob("show", "1", "--json").json["outcome"] == "unrecognized"


def test_a_receiver_who_cancelled_and_has_yet_to_decide(scene: Scene) -> None:
    scene.pays()
    resumed(scene.bob)
    scene.bob("cancel", "1", "--fallback", "later")
    rival = scene.double_spends()
    is_told(scene.bob, resumed(scene.bob), rival, "spends this session's coins")
    shown = scene.bob("show", "1", "--json").json
    assert (shown["status"], shown["seen"]["kind"]) == ("fallback-pending", "stranger")
    assert "confirm only if that one does not" in shown["status_words"]
