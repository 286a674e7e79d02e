"""The sender's machine: whatever comes back, it costs no more than was allowed."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

from tests.fuzz.choices import Choices
from tests.fuzz.meddling import Parts, Stock, inputs_of, paid_to
from tests.fuzz.target import BrokenPromise, Target, parsed, require
from tests.sessions.sender import play

from dovetail.bitcoin import FeeRate, Psbt, Sats, Transaction, TxOut
from dovetail.crypto import SeededEntropy, decapsulate
from dovetail.errors import TransportError
from dovetail.protocol import ErrorCode, ErrorReply, FeeContribution, Request, SenderParams
from dovetail.sessions import sender
from dovetail.sessions.transition import Transition

OWN = (play.OURS, play.OURS_NESTED, play.CHANGE)
"""What pays the sender back."""
SPENT = sum(int(coin.value) for coin in play.COINS.values())


@dataclass(frozen=True, slots=True)
class Terms:
    params: SenderParams
    substitution: bool = True
    third_party: bool = False
    """Whether the Original pays somebody else, too."""

    @property
    def may_substitute(self) -> bool:
        return self.substitution and self.params.output_substitution

    @property
    def contribution(self) -> int:
        offer = self.params.fee_contribution
        return 0 if offer is None else int(offer.max_amount)


Judged: TypeAlias = (
    Transition[sender.SenderEvent, sender.ProposalReceived | sender.PendingFallback] | play.Polled
)

OFFER = FeeContribution(Sats(300), 1)
TERMS = (
    Terms(SenderParams(min_fee_rate=FeeRate.from_sat_per_vb(1), fee_contribution=OFFER)),
    Terms(SenderParams(fee_contribution=OFFER), substitution=False),
    Terms(SenderParams(output_substitution=False)),
    Terms(SenderParams(fee_contribution=FeeContribution(Sats(2_000), 1)), third_party=True),
    Terms(SenderParams(fee_contribution=FeeContribution(Sats(9_000), 0))),
)


def payment(terms: Terms) -> Transaction:
    """The unsigned Original: a fee of 2000, to the payee and back, and to another if so agreed."""
    plain = play.payment()
    if not terms.third_party:
        return plain
    outputs = (
        plain.outputs[0],
        TxOut(Sats(38_000), play.CHANGE),
        TxOut(Sats(10_000), play.ELSEWHERE),
    )
    return replace(plain, outputs=outputs)


def answer(terms: Terms) -> Psbt:
    """An honest Proposal under these terms: one coin of the receiver's, and no fee taken."""
    honest = play.proposal().unsigned_transaction
    outputs = (TxOut(Sats(80_000), play.PAYEE), *payment(terms).outputs[1:])
    psbt = Psbt.from_unsigned(replace(honest, outputs=outputs))
    return psbt.with_input(2, play.proposal().inputs[2])


STOCK = Stock(
    scripts=(play.PAYEE, play.CHANGE, play.ELSEWHERE, play.THEIRS, play.OURS, b"\x6a", b""),
    inputs=(*inputs_of(play.proposal()), *inputs_of(play.original())),
    values=(
        play.SIGNATURE,
        b"\x02\x48" + play.SIGNATURE + b"\x21" + play.RECEIVER_KEY,
        play.RECEIVER_COIN.serialize(),
        play.fallback().serialize(),
        (1).to_bytes(4, "little"),
        (0x83).to_bytes(4, "little"),
    ),
)


@cache
def waiting(terms: Terms, *, v1: bool) -> sender.PostingOriginal | sender.PollingForProposal:
    uri = replace(play.V1_URI if v1 else play.URI, output_substitution=terms.substitution)
    log = play.Log()
    posting = (
        sender.create(
            uri=uri,
            original=play.sign(play.unsigned_original(payment(terms))),
            params=terms.params,
            now=play.NOW,
            entropy=SeededEntropy(b"sender"),
        )
        .save(log)
        .start_posting()
        .save(log)
    )
    if v1:
        return posting
    polling = play.process_post(posting, 200).save(log)
    if not isinstance(polling, sender.PollingForProposal):
        raise BrokenPromise("a post that was taken is waited upon")
    return polling


def proposal(data: bytes) -> None:
    """A Proposal PSBT with anything changed, correctly sealed."""
    choices = Choices(data)
    terms, sealed = choices.one_of(TERMS), choices.below(8) == 0
    parts = Parts(answer(terms))
    parts.meddle(choices, STOCK)
    raw = parts.serialize()
    session = waiting(terms, v1=not sealed)
    after: Judged
    match session:
        case sender.PostingOriginal():
            after = session.process_v1(200, b64encode(raw))
        case _ if len(raw) <= 7_000:
            after = play.process_answer(session, raw)
        case _:
            return
    log = _log_of(session)
    _judge(terms, after.save(log), log)


def _judge(terms: Terms, session: sender.SenderSession, log: play.Log) -> None:
    require(log.replay() == session, "what was lived is what is replayed")
    if not isinstance(session, sender.ProposalReceived):
        require(isinstance(session, sender.PendingFallback), "a refusal leaves the fallback")
        return
    to_sign = session.psbt_to_sign
    _check_cost(terms, to_sign.unsigned_transaction, Psbt.parse(to_sign.serialize()))
    signed = parsed(lambda: session.record_signed(play.sign(to_sign)))
    if signed is None:
        return
    ready = signed.save(log)
    require(log.replay() == ready, "what was lived is what is replayed")
    if isinstance(ready, sender.PendingBroadcast):
        payjoin = ready.payjoin
        require(Transaction.parse(payjoin.serialize()) == payjoin, "a payjoin can be broadcast")
        bare = payjoin.without_signatures()
        require(bare == to_sign.unsigned_transaction, "what was checked is what is signed")


def _check_cost(terms: Terms, theirs: Transaction, psbt: Psbt) -> None:
    """BIP 78's promise to a sender, from amounts alone."""
    ours = payment(terms)
    spent = {txin.previous_output: txin.sequence for txin in theirs.inputs}
    require(set(spent) >= set(play.COINS), "a payjoin spends every input of the Original")
    require(set(spent.values()) == {ours.inputs[0].sequence}, "sequences stay")
    require((theirs.version, theirs.lock_time) == (2, 0), "version and lock time stay")

    taken = paid_to(ours.outputs, OWN) - paid_to(theirs.outputs, OWN)
    others = sum(
        int(psbt.utxo(at).value)
        for at, txin in enumerate(theirs.inputs)
        if txin.previous_output not in play.COINS
    )
    fee = SPENT + others - sum(int(txout.value) for txout in theirs.outputs)
    own_fee = SPENT - sum(int(txout.value) for txout in ours.outputs)
    require(taken <= terms.contribution, "nobody takes more than was offered")
    require(fee >= own_fee, "the fee never falls")
    require(taken <= max(0, fee - own_fee), "what is taken is spent on the fee")
    if terms.third_party:
        kept = paid_to(theirs.outputs, (play.ELSEWHERE,))
        require(kept >= 10_000, "who else is paid gets it all")
    if not terms.may_substitute:
        kept = paid_to(theirs.outputs, (play.PAYEE,))
        require(kept >= play.AMOUNT, "without substitution the payee gets it all")
    for at, txin in enumerate(theirs.inputs):
        ours_too = txin.previous_output in play.COINS
        require(psbt.inputs[at].is_finalized is not ours_too, "only our inputs are to be signed")


def _log_of(session: sender.SenderSession) -> play.Log:
    log = play.Log()
    created = session.terms.created
    log.append(created, seq=0, closes=False)
    log.append(sender.events.StartedPosting(), seq=1, closes=False)
    if isinstance(session, sender.PollingForProposal):
        log.append(sender.events.PostedOriginalPsbt(), seq=2, closes=False)
    return log


def proposals() -> Iterable[bytes]:
    for terms in range(len(TERMS)):
        for way in range(2):
            start = bytes((terms, way))
            yield start
            yield start + bytes((0, 1)) + (-200).to_bytes(2, signed=True)
            yield start + bytes((2, 1, 0)) + (300).to_bytes(2)
            yield start + bytes((8, 2, 0)) + bytes((9, 0, 1))
    yield bytes((0, 1, 0, 1)) + (-68).to_bytes(2, signed=True)


def reading(data: bytes) -> None:
    """Any answer at all: of a receiver, of a directory, of a web server, of a relay."""
    choices = Choices(data)
    terms, kind = TERMS[0], choices.below(5)
    polling = waiting(terms, v1=False)
    posting = waiting(terms, v1=True)
    log = _log_of(posting if kind == 0 else polling)
    after: Judged | None
    if kind == 0 and isinstance(posting, sender.PostingOriginal):
        status = choices.one_of((200, 400, 503))
        after = parsed(lambda: posting.process_v1(status, choices.rest()), error=TransportError)
    elif isinstance(polling, sender.PollingForProposal):
        request, context = polling.poll(play.RELAY, now=play.NOW, entropy=SeededEntropy(b"poll"))
        body = _answered(kind, choices, polling, request)
        after = parsed(lambda: polling.process_poll(body, context), error=TransportError)
    else:
        return
    if after is None:
        return
    session = after.save(log)
    require(log.replay() == session, "what was lived is what is replayed")
    if isinstance(session, sender.ProposalReceived):
        to_sign = session.psbt_to_sign
        _check_cost(terms, to_sign.unsigned_transaction, to_sign)


def _answered(
    kind: int, choices: Choices, polling: sender.PollingForProposal, request: Request
) -> bytes:
    match kind:
        case 1:
            payload = choices.rest()[:7_088]
            return play.answer(request, 200, play.message_b(polling, payload))
        case 2:
            return play.answer(request, 200 + choices.number(2) % 400, choices.rest()[:8_000])
        case 3:
            context = decapsulate(play.GATEWAY, request.body)[1]
            return context.seal(choices.rest()[:8_144].ljust(8_144, b"\0"))
        case _:
            return choices.rest().ljust(8_192, b"\0")


def answers() -> Iterable[bytes]:
    honest = play.proposal().serialize()
    yield b"\0\0" + b64encode(honest)
    yield b"\1" + honest
    for code in ErrorCode:
        yield b"\0\1" + ErrorReply(code).serialize()
        yield b"\1" + ErrorReply(code).serialize()
    yield b"\2\0\2"
    yield b"\2\0\0" + bytes(7_168)
    yield b"\3\1\x40\xc8\0\0\0"


TARGETS = (
    Target("sender-proposal", proposal, proposals, longest=256),
    Target("sender-answer", reading, answers, longest=1024),
)
