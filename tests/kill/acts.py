"""What people do on the paths: sets-up, which no kill disturbs, acts, and odd peers."""

from contextlib import AbstractContextManager
from unittest.mock import patch

from tests.kill.ledger import AMOUNT, Party
from tests.kill.path import Acts, Stuck
from tests.kill.play import LIFETIME, Play

from dovetail.bitcoin import OutPoint, Psbt, Script
from dovetail.protocol import SenderParams, prepare_original
from dovetail.sessions.sender.base import State as SenderState

SENDER, RECEIVER = Party.SENDER, Party.RECEIVER
PROPOSED = "PostedPayjoinProposal"


# Sets-up


def asked(play: Play) -> None:
    play.receive()


def posted(play: Play) -> None:
    play.receive()
    play.send()


def proposed(play: Play) -> None:
    posted(play)
    play.halt(RECEIVER, f"append {PROPOSED}")


def receiver_at(event: str) -> Acts:
    def setup(play: Play) -> None:
        posted(play)
        play.halt(RECEIVER, f"append {event}")

    return setup


def sending_at(effect: str) -> Acts:
    def setup(play: Play) -> None:
        asked(play)
        play.halt(SENDER, effect, *play.sending(wait=True))

    return setup


def sender_at(event: str) -> Acts:
    def setup(play: Play) -> None:
        proposed(play)
        play.halt(SENDER, f"append {event}")

    return setup


def strayed(play: Play) -> None:
    """The receiver's coin is spent elsewhere once the sender has the proposal."""
    proposed(play)
    play.stray()


# Acts


def complete(play: Play) -> None:
    posted(play)
    play.begin(RECEIVER)
    play.until_logged(RECEIVER, PROPOSED)


def complete_by_run(play: Play) -> None:
    """A service of each does the work, beside the commands that begin it."""
    play.employ()
    play.receive()
    play.employ()  # whoever was killed before there was a session was paused
    play.send()


def complete_v1(play: Play) -> None:
    play.serve()
    play.send()
    play.until_logged(SENDER, "ReceivedProposal")


def pay(play: Play) -> None:
    play.send()


def _post(play: Play) -> None:
    play.send()
    play.until_logged(SENDER, "PostedOriginalPsbt")


def cancel_before(play: Play) -> None:
    play.decide(RECEIVER, "cancel")
    _post(play)
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
    play.until_logged(RECEIVER, PROPOSED)
    play.decide(SENDER, "cancel")
    play.answer(SENDER, "release", "--yes")
    play.pass_time()


def take_back(play: Play) -> None:
    """The sender declines and takes the coin back while the receiver broadcasts the fallback."""
    _decline(play)
    play.decide(SENDER, "revoke", "--yes", "--fee-rate", "20")


def take_back_late(play: Play) -> None:
    """The sender wants the coin back when the receiver's fallback is in a block already."""
    _decline(play)
    play.until_closed(RECEIVER)
    play.decide(SENDER, "revoke", "--yes", "--fee-rate", "20")


def unanswered(play: Play) -> None:
    _post(play)
    play.pass_time()
    play.begin(SENDER)
    play.until_closed(SENDER)


def abandoned(play: Play) -> None:
    _post(play)
    play.pause(SENDER)
    play.begin(RECEIVER)
    play.until_logged(RECEIVER, PROPOSED)
    play.pass_time()
    play.until_closed(RECEIVER)


def payjoin_undone(play: Play) -> None:
    """A block confirms the payjoin; then the chain reorganises, and no mempool knows it."""
    play.begin(RECEIVER)
    play.begin(SENDER)
    play.until_logged(SENDER, "BroadcastPayjoin")
    play.undo()


def fallback_undone(play: Play) -> None:
    """The same with the fallback that the receiver took."""
    cancel_and_take(play)
    play.begin(SENDER)
    play.until(lambda: bool(play.chain.waiting()), "for the fallback")
    play.undo()


def late(play: Play) -> None:
    play.pass_time()


def in_grace(play: Play) -> None:
    """Both come back after the expiration, within the grace; then that passes too."""
    play.pass_time(LIFETIME + 60)
    play.begin(SENDER)
    _look_around(play)


def _look_around(play: Play) -> None:
    """The receiver comes back for a moment before its time is over."""
    play.begin(RECEIVER)
    play.linger()
    play.pass_time()


def _contested(play: Play) -> tuple[OutPoint, ...]:
    """The coins that the payer's Original spends."""
    state = play.state(SENDER)
    if not isinstance(state, SenderState):
        raise Stuck("The payer has no session.")
    return state.contested


def _forgotten(play: Play) -> tuple[OutPoint, ...]:
    """The payer loses its session."""
    contested = _contested(play)
    play.forget(SENDER)
    return contested


def paid_directly(play: Play) -> None:
    """A payer who lost its session pays the address from another coin."""
    play.pay_directly(AMOUNT, sparing=_forgotten(play))
    _look_around(play)


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
    contested = _contested(play)
    play.pause(SENDER)
    play.pay_directly(AMOUNT, sparing=contested)


def paid_by_payjoin_and_directly(play: Play) -> None:
    """The receiver comes back when both wait to be mined, and hears of both."""
    play.begin(SENDER)
    play.until_logged(SENDER, "BroadcastPayjoin")
    _pay_too(play)


def paid_by_fallback_and_directly(play: Play) -> None:
    """The same with the fallback that the receiver took."""
    cancel_and_take(play)
    play.until(lambda: bool(play.chain.waiting()), "for the fallback")
    _pay_too(play)


def inputs_taken_away(play: Play) -> None:
    """The payer's coin is spent elsewhere, to depth, while the receiver is away."""
    play.take_away(_forgotten(play)[0])
    _look_around(play)


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
    serialize = SenderParams.serialize
    return patch.object(
        SenderParams, "serialize", lambda self: serialize(self).replace("v=2", "v=3")
    )
