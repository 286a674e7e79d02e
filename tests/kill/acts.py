"""What people do on the paths: sets-up, which no kill disturbs, acts, and odd peers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest.mock import patch

from tests.kill.ledger import AMOUNT, Party
from tests.kill.play import LIFETIME, Play
from tests.kill.run_options import Stuck

from dovetail.bitcoin import OutPoint, Script
from dovetail.bitcoin.psbt import Psbt
from dovetail.protocol.original import prepare_original
from dovetail.protocol.params import SenderParams
from dovetail.sessions.sender.base import State as SenderState

SENDER, RECEIVER = Party.SENDER, Party.RECEIVER

Acts = Callable[[Play], None]


def nothing(_play: Play) -> None:
    """No set-up: kills may come from the very first effect on."""


# Sets-up


def asked(play: Play) -> None:
    play.receive()


def posted(play: Play) -> None:
    play.receive()
    play.send()


def proposed(play: Play) -> None:
    posted(play)
    play.halt(RECEIVER, "append PostedPayjoinProposal")


def receiver_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        posted(play)
        play.halt(RECEIVER, effect)

    return setup


def sending_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        asked(play)
        play.halt(SENDER, effect, *play.sending(wait=True))

    return setup


def sender_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        proposed(play)
        play.halt(SENDER, effect)

    return setup


def strayed(play: Play) -> None:
    """The receiver's coin is spent elsewhere once the sender has the proposal."""
    proposed(play)
    play.stray()


# Acts


def complete(play: Play) -> None:
    play.receive()
    play.send()
    play.begin(RECEIVER)
    play.until(lambda: play.logged(RECEIVER, "PostedPayjoinProposal"), "for the proposal")


def complete_by_run(play: Play) -> None:
    """A service of each does the work, beside the commands that begin it."""
    play.employ()
    play.receive()
    play.employ()  # whoever was killed before there was a session was paused
    play.send()


def complete_v1(play: Play) -> None:
    play.serve()
    play.send()
    play.until(lambda: play.logged(SENDER, "ReceivedProposal"), "for the proposal")


def pay(play: Play) -> None:
    play.send()


def cancel_before(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    play.send()
    play.until(lambda: play.logged(SENDER, "PostedOriginalPsbt"), "for the Original")
    play.pass_time()


def cancel_and_take(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    play.answer(RECEIVER, "fallback")


def cancel_and_release(play: Play) -> None:
    """The receiver wants it no more; the sender makes the payment all the same."""
    play.decide(RECEIVER, "cancel")
    play.answer(RECEIVER, "release", "--yes")
    play.pass_time()


def cancel_late(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    play.pass_time()


def cancel_unposted(play: Play) -> None:
    play.decide(SENDER, "cancel")
    play.answer(SENDER, "release", "--yes")
    play.pass_time()


def cancel_and_pay(play: Play) -> None:
    """Nothing has left yet; the sender stops the payjoin and pays all the same."""
    play.decide(SENDER, "cancel")
    play.answer(SENDER, "fallback")


def pay_and_decline(play: Play) -> None:
    """Two people at two terminals: one pays, one declines, at the same moment."""
    play.decide(SENDER, "cancel")
    play.at_once(SENDER, ("fallback",), ("release", "--yes"))
    play.pass_time()


def _decline(play: Play) -> None:
    play.begin(RECEIVER)
    play.until(lambda: play.logged(RECEIVER, "PostedPayjoinProposal"), "for the proposal")
    play.decide(SENDER, "cancel")
    play.answer(SENDER, "release", "--yes")


def take_back(play: Play) -> None:
    """The sender declines and takes the coin back while the receiver broadcasts the fallback."""
    _decline(play)
    play.pass_time()
    play.decide(SENDER, "revoke", "--yes", "--fee-rate", "20")


def take_back_late(play: Play) -> None:
    """The sender wants the coin back when the receiver's fallback is in a block already."""
    _decline(play)
    play.pass_time()
    play.until(lambda: play.closed(RECEIVER), "for the receiver's fallback")
    play.decide(SENDER, "revoke", "--yes", "--fee-rate", "20")


def unanswered(play: Play) -> None:
    play.send()
    play.until(lambda: play.logged(SENDER, "PostedOriginalPsbt"), "for the Original")
    play.pass_time()
    play.begin(SENDER)
    play.until(lambda: play.closed(SENDER), "for the sender's fallback")


def abandoned(play: Play) -> None:
    play.send()
    play.until(lambda: play.logged(SENDER, "PostedOriginalPsbt"), "for the Original")
    play.pause(SENDER)
    play.begin(RECEIVER)
    play.until(lambda: play.logged(RECEIVER, "PostedPayjoinProposal"), "for the proposal")
    play.pass_time()
    play.until(lambda: play.closed(RECEIVER), "for the receiver's fallback")


def payjoin_undone(play: Play) -> None:
    """A block confirms the payjoin; then the chain reorganises, and no mempool knows it."""
    play.begin(RECEIVER)
    play.begin(SENDER)
    play.until(lambda: play.logged(SENDER, "BroadcastPayjoin"), "for the payjoin")
    play.undo()


def fallback_undone(play: Play) -> None:
    """The same with the fallback that the receiver took."""
    cancel_and_take(play)
    play.begin(SENDER)
    play.until(lambda: bool(play.chain.waiting()), "for the fallback")
    play.undo()


def late(play: Play) -> None:
    """Both come back when the expiration and its grace are over."""
    play.pass_time()


def in_grace(play: Play) -> None:
    """Both come back after the expiration, within the grace; then that passes too."""
    play.pass_time(LIFETIME + 60)
    play.begin(SENDER)
    play.begin(RECEIVER)
    play.linger()
    play.pass_time()


def _forgotten(play: Play) -> tuple[OutPoint, ...]:
    """The payer loses its session; the coins that its Original spends."""
    state = play.state(SENDER)
    if not isinstance(state, SenderState):
        raise Stuck("The payer has no session to lose.")
    play.forget(SENDER)
    return state.contested


def paid_directly(play: Play) -> None:
    """A payer who lost its session pays the address from another coin."""
    play.pay_directly(AMOUNT, sparing=_forgotten(play))
    play.begin(RECEIVER)
    play.linger()
    play.pass_time()


def paid_in_parts(play: Play) -> None:
    """The same in two transactions, the second of which comes when the first is in a block."""
    contested = _forgotten(play)
    play.pay_directly(AMOUNT - 1_000, sparing=contested)
    play.begin(RECEIVER)
    play.until(lambda: not play.chain.waiting() or play.mined(), "for the first part")
    play.pay_directly(1_000, sparing=contested)
    play.linger()
    play.pass_time()


def _pay_too(play: Play) -> None:
    """Once the payment waits for its block, another wallet of the payer's makes it again."""
    state = play.state(SENDER)
    if not isinstance(state, SenderState):
        raise Stuck("The payer has no session.")
    play.pause(SENDER)
    play.pay_directly(AMOUNT, sparing=state.contested)


def paid_by_payjoin_and_directly(play: Play) -> None:
    """The receiver comes back when both wait to be mined, and hears of both."""
    play.begin(SENDER)
    play.until(lambda: play.logged(SENDER, "BroadcastPayjoin"), "for the payjoin")
    _pay_too(play)


def paid_by_fallback_and_directly(play: Play) -> None:
    """The same with the fallback that the receiver took."""
    cancel_and_take(play)
    play.until(lambda: bool(play.chain.waiting()), "for the fallback")
    _pay_too(play)


def inputs_taken_away(play: Play) -> None:
    """The payer's coin is spent elsewhere, to depth, while the receiver is away."""
    play.take_away(_forgotten(play)[0])
    play.begin(RECEIVER)
    play.linger()
    play.pass_time()


def unanswered_broadcast(play: Play) -> None:
    """The sender's server tells neither that it takes the payjoin nor that it does not."""
    play.begin(SENDER)
    play.linger()
    play.pass_time()


def pay_now(party: Party) -> Acts:
    """Pay by the fallback at once, whatever is under way; said twice, it is still one payment."""

    def acts(play: Play) -> None:
        play.decide(party, "fallback")
        play.decide(party, "fallback")
        play.pass_time()

    return acts


# Peers


def garbles_its_signature() -> AbstractContextManager[object]:
    """A sender whose Original has a bit flipped in a signature; its own fallback is good."""

    def garbled(signed: Psbt, *, payee: Script) -> Psbt:
        original = prepare_original(signed, payee=payee)
        first = original.inputs[0]
        signature, *rest = first.final_script_witness or ()
        broken = bytes([*signature[:20], signature[20] ^ 1, *signature[21:]])
        return original.with_input(0, first.with_final(b"", (broken, *rest)))

    return patch("dovetail.sessions.sender.terms.prepare_original", garbled)


def speaks_version_3() -> AbstractContextManager[object]:
    """A sender from the future."""
    serialize = SenderParams.serialize
    return patch.object(
        SenderParams, "serialize", lambda self: serialize(self).replace("v=2", "v=3")
    )
