"""What people do on the paths: sets-up, which no kill disturbs, acts, and odd peers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Concatenate, ParamSpec
from unittest.mock import patch

from tests.kill.ledger import AMOUNT, Party
from tests.kill.path import Acts, Stuck
from tests.kill.play import LIFETIME, Play

from dovetail.bitcoin import OutPoint, Psbt, Script
from dovetail.protocol import SenderParams, prepare_original
from dovetail.sessions.sender.base import State as SenderState

P = ParamSpec("P")
SENDER, RECEIVER = Party.SENDER, Party.RECEIVER
PROPOSED = "PostedPayjoinProposal"


def _step(method: Callable[Concatenate[Play, P], object]) -> Callable[P, Acts]:
    """A method of `Play`, to be called once there is one."""
    return lambda *words, **named: lambda play: method(play, *words, **named)


def _steps(*acts: Acts) -> Acts:
    """One after the other."""

    def all_of(play: Play) -> None:
        for act in acts:
            act(play)

    return all_of


_begin, _pause, _halt = _step(Play.begin), _step(Play.pause), _step(Play.halt)
_logged, _closed = _step(Play.until_logged), _step(Play.until_closed)
_decide, _answer, _at_once = _step(Play.decide), _step(Play.answer), _step(Play.at_once)
_RELEASE, _REVOKE = ("release", "--yes"), ("revoke", "--yes", "--fee-rate", "20")
pay, late = Play.send, Play.pass_time


# Sets-up

asked = Play.receive
posted = _steps(Play.receive, Play.send)
proposed = _steps(posted, _halt(RECEIVER, f"append {PROPOSED}"))
strayed = _steps(proposed, Play.stray)
"""The receiver's coin is spent elsewhere once the sender has the proposal."""


def receiver_at(event: str) -> Acts:
    return _steps(posted, _halt(RECEIVER, f"append {event}"))


def sender_at(event: str) -> Acts:
    return _steps(proposed, _halt(SENDER, f"append {event}"))


def sending_at(effect: str) -> Acts:
    return _steps(asked, lambda play: play.halt(SENDER, effect, *play.sending(wait=True)))


# Acts

_propose = _steps(_begin(RECEIVER), _logged(RECEIVER, PROPOSED))
_post = _steps(Play.send, _logged(SENDER, "PostedOriginalPsbt"))
_broadcast = _steps(_begin(SENDER), _logged(SENDER, "BroadcastPayjoin"))
_look_around = _steps(_begin(RECEIVER), Play.linger, Play.pass_time)
"""The receiver comes back for a moment before its time is over."""
_decline = _steps(_propose, _decide(SENDER, "cancel"), _answer(SENDER, *_RELEASE), Play.pass_time)

complete = _steps(posted, _propose)
complete_by_run = _steps(Play.employ, Play.receive, Play.employ, Play.send)
"""A service of each does the work, beside the commands that begin it; whoever was killed before
there was a session was paused."""
complete_v1 = _steps(Play.serve, Play.send, _logged(SENDER, "ReceivedProposal"))
cancel_before = _steps(_decide(RECEIVER, "cancel"), _post, Play.pass_time)
cancel_and_take = _steps(_decide(RECEIVER, "cancel"), _answer(RECEIVER, "fallback"))
cancel_and_release = _steps(
    _decide(RECEIVER, "cancel"), _answer(RECEIVER, *_RELEASE), Play.pass_time
)
"""The receiver wants it no more; the sender makes the payment all the same."""
cancel_late = _steps(_decide(RECEIVER, "cancel"), Play.pass_time)
cancel_unposted = _steps(_decide(SENDER, "cancel"), _answer(SENDER, *_RELEASE), Play.pass_time)
cancel_and_pay = _steps(_decide(SENDER, "cancel"), _answer(SENDER, "fallback"))
"""Nothing has left yet; the sender stops the payjoin and pays all the same."""
pay_and_decline = _steps(
    _decide(SENDER, "cancel"), _at_once(SENDER, ("fallback",), _RELEASE), Play.pass_time
)
"""Two people at two terminals: one pays, one declines, at the same moment."""
take_back = _steps(_decline, _decide(SENDER, *_REVOKE))
"""The sender declines and takes the coin back while the receiver broadcasts the fallback."""
take_back_late = _steps(_decline, _closed(RECEIVER), _decide(SENDER, *_REVOKE))
"""The sender wants the coin back when the receiver's fallback is in a block already."""
unanswered = _steps(_post, Play.pass_time, _begin(SENDER), _closed(SENDER))
abandoned = _steps(_post, _pause(SENDER), _propose, Play.pass_time, _closed(RECEIVER))
payjoin_undone = _steps(_begin(RECEIVER), _broadcast, Play.undo)
"""A block confirms the payjoin; then the chain reorganises, and no mempool knows it."""
fallback_undone = _steps(cancel_and_take, _begin(SENDER), Play.until_waiting, Play.undo)
"""The same with the fallback that the receiver took."""
in_grace = _steps(_step(Play.pass_time)(LIFETIME + 60), _begin(SENDER), _look_around)
"""Both come back after the expiration, within the grace; then that passes too."""
unanswered_broadcast = _steps(_begin(SENDER), Play.linger, Play.pass_time)
"""The sender's server tells neither that it takes the payjoin nor that it does not."""


def pay_now(party: Party) -> Acts:
    """Pay by the fallback at once, whatever is under way; said twice, it is still one payment."""
    return _steps(_decide(party, "fallback"), _decide(party, "fallback"), Play.pass_time)


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


paid_by_payjoin_and_directly = _steps(_broadcast, _pay_too)
"""The receiver comes back when both wait to be mined, and hears of both."""
paid_by_fallback_and_directly = _steps(cancel_and_take, Play.until_waiting, _pay_too)
"""The same with the fallback that the receiver took."""


def inputs_taken_away(play: Play) -> None:
    """The payer's coin is spent elsewhere, to depth, while the receiver is away."""
    play.take_away(_forgotten(play)[0])
    _look_around(play)


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
