"""The receiver's machine: an Original it accepts never leads to less than the Original pays it."""

from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from typing import TypeVar

from tests.fuzz.choices import Choices
from tests.fuzz.meddling import Parts, Stock, inputs_of, paid_to
from tests.fuzz.target import Target, parsed, require
from tests.properties.histories.people import ALICE, BOB
from tests.protocol import builders
from tests.sessions.receiver import play
from tests.sessions.sender.play import SIGNATURE
from tests.support.directory import Directory
from tests.support.keys import as_claimed

from dovetail.bitcoin import FeeRate, Psbt, TxOut, Weight
from dovetail.crypto import BhttpResponse, SeededEntropy, decapsulate
from dovetail.errors import (
    CounterpartyError,
    DovetailError,
    InvalidMessage,
    PayloadTooLarge,
    TransportError,
)
from dovetail.protocol import ORIGINAL_CAPACITY, Request, encode_original
from dovetail.protocol.disclosure import utxo_only
from dovetail.sessions import receiver
from dovetail.sessions.transition import Transition

S = TypeVar("S", bound=receiver.ReceiverSession)

LOWEST, HIGHEST = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(20)
OWN = tuple(play.BOB.scripts())
ALICES = tuple(ALICE.scripts())
QUERIES = (
    b"v=2",
    b"v=2&maxadditionalfeecontribution=500&additionalfeeoutputindex=1",
    b"v=2&maxadditionalfeecontribution=9999&additionalfeeoutputindex=0",
    b"v=2&minfeerate=3",
    b"v=2&maxadditionalfeecontribution=1&additionalfeeoutputindex=9999999999999999",
    b"v=2&minfeerate=73786976294838206.46",
    b"v=2&minfeerate=1.001&disableoutputsubstitution=true",
    b"v=2&maxadditionalfeecontribution=300&additionalfeeoutputindex=1&minfeerate=9",
)
STOCK = Stock(
    scripts=(
        play.BOB.script(0),
        play.ALICE.script(7),
        play.ALICE.script(3),
        play.BOB.script(5),
        *builders.ALL_KINDS,
        b"",
    ),
    inputs=(
        *inputs_of(play.ORIGINAL),
        *(
            each
            for kind in builders.ALL_KINDS
            for each in inputs_of(builders.original((90_000, kind)))
        ),
        *inputs_of(play.ALICE.pay(play.BOB.script(0), 50_000, coins=(play.RECEIVER_COIN,))),
    ),
    values=(
        SIGNATURE,
        play.FALLBACK.serialize(),
        play.SENDER_COINS[0].utxo.serialize(),
        (1).to_bytes(4, "little"),
        (0x83).to_bytes(4, "little"),
    ),
)


@cache
def begun(*, v1: bool) -> tuple[receiver.Initialized, receiver.ReceiverEvent]:
    """A receiver whom nobody has paid yet, and the event of it."""
    made = play.Play()
    return made.created(v1=v1), made.log.events[0]


@cache
def begun_http() -> tuple[receiver.Initialized, receiver.ReceiverEvent]:
    """The same with a v1 endpoint of its own."""
    made = play.Play()
    made.retrieved_http()
    return play.expect(made.states[0], receiver.Initialized), made.log.events[0]


class Life:
    """One session and what a store keeps of it."""

    def __init__(self, created: receiver.ReceiverEvent) -> None:
        self._entries = [receiver.encode_event(created)]
        self._last: receiver.ReceiverSession | None = None
        self.entropy = SeededEntropy(b"receiver")

    def append(self, event: receiver.ReceiverEvent, /, *, seq: int, closes: bool) -> None:
        require(seq == len(self._entries), "events stand in a row")
        require(closes is (type(event).__name__ == "Closed"), "only the end closes")
        self._entries.append(receiver.encode_event(event))

    def save(self, transition: Transition[receiver.ReceiverEvent, S]) -> S:
        session = transition.save(self)
        self._last = session
        return session

    def end(self) -> None:
        """Replay what the store has; it has to be the state that was lived."""
        again = receiver.replay(map(receiver.decode_event, self._entries))
        require(again == self._last, "what was lived is what is replayed")


def original(data: bytes) -> None:
    """An Original PSBT with anything changed, correctly sealed, taken as far as it goes."""
    choices = Choices(data)
    way, query = choices.below(6), choices.one_of(QUERIES)
    if choices.below(4) == 3:
        query = choices.some()
    anew, replaced = divmod(choices.below(6), 3)
    parts = Parts(play.ORIGINAL)
    parts.meddle(choices, STOCK)
    raw = _signed(parts.serialize()) if anew else parts.serialize()
    text = b64encode(raw)
    arrived: Transition[receiver.ReceiverEvent, receiver.ReceiverSession] | None
    if way:
        session, created = begun_http()
        life = Life(created)
        plain = query.replace(b"v=2", b"v=1").decode("latin-1")
        arrived = parsed(
            lambda: session.receive_v1(text, plain, now=play.NOW),
            error=(InvalidMessage, CounterpartyError),
        )
    else:
        body = text + b"\n" + query
        if len(body) > ORIGINAL_CAPACITY:
            return
        session, created = begun(v1=False)
        life = Life(created)
        arrived = _fetched(session, body, life)
    if arrived is not None:
        after = life.save(arrived)
        if isinstance(after, receiver.UncheckedOriginalPayload):
            life.end()
            _negotiate(life, after, replaced)
        life.end()


def _signed(raw: bytes) -> bytes:
    """The same, signed for what it has become; else every change ends at its signature."""
    try:
        psbt = Psbt.parse(raw)
        for index, each in enumerate(psbt.inputs):
            utxo = each.witness_utxo
            if utxo is not None and utxo.script_pubkey in ALICES:
                psbt = psbt.with_input(index, utxo_only(each))
        return ALICE.sign(psbt).serialize()
    except DovetailError:
        return raw


def _fetched(
    session: receiver.Initialized, body: bytes, life: Life
) -> Transition[receiver.ReceiverEvent, receiver.ReceiverSession]:
    made = play.Play(states=[session], entropy=life.entropy)
    made.put(body)
    request, context = session.poll(play.RELAY, now=play.NOW, entropy=life.entropy)
    return session.process_poll(made.directory.serve(request), context, now=play.NOW)


def _negotiate(life: Life, session: receiver.UncheckedOriginalPayload, replaced: int) -> None:
    """Be an honest receiver, whose wallet owns what it owns."""
    fallback = session.transaction
    paid = paid_to(fallback.outputs, OWN)
    session_2 = life.save(
        session.check_broadcast_suitability(
            True, tested=True, spent=as_claimed(session), min_fee_rate=LOWEST
        )
    )
    if not isinstance(session_2, receiver.MaybeInputsOwned):
        return
    pairs = zip(session_2.contested, session_2.sender_scripts, strict=True)
    owned = {outpoint for outpoint, script in pairs if script in OWN}
    session_3 = life.save(session_2.check_inputs_not_owned(owned))
    if not isinstance(session_3, receiver.MaybeInputsSeen):
        require(bool(owned), "only our own coins are refused as ours")
        return
    unseen = life.save(session_3.check_no_inputs_seen_before(()))
    session_4 = play.expect(unseen, receiver.OutputsUnknown)
    session_5 = life.save(session_4.identify_receiver_outputs(set(OWN)))
    if not isinstance(session_5, receiver.WantsOutputs):
        return
    outputs = _replacement(session_5, replaced)
    session_6 = life.save(session_5.commit_outputs(outputs, entropy=life.entropy))
    coin = play.RECEIVER_COIN
    try:
        placed = session_6.commit_inputs((coin,), entropy=life.entropy)
    except PayloadTooLarge:
        return
    session_7 = life.save(life.save(placed).apply_fee_range(LOWEST, HIGHEST))
    if not isinstance(session_7, receiver.ProvisionalProposal):
        return
    signed = BOB.sign(session_7.psbt_to_sign)
    session_8 = life.save(session_7.finalize_proposal(signed))
    if not isinstance(session_8, receiver.PayjoinProposal):
        return
    proposal = session_8.proposal
    require(Psbt.parse(proposal.serialize()) == proposal, "a sender can read the proposal")
    theirs = proposal.unsigned_transaction
    require(set(theirs.contested()) > set(fallback.contested()), "it spends all the sender's coins")
    gained = paid_to(theirs.outputs, OWN) - int(coin.utxo.value)
    added = 4 * len(session_8.v1_body)  # far more than what the coin and its output weigh
    weight = min(added, 272 + 4 * 43 * max(1, replaced))
    require(
        gained >= paid - int(HIGHEST.fee(Weight(weight))),
        "a payjoin pays no less, but for a capped fee",
    )
    ours = sum(1 for txout in theirs.outputs if txout.script_pubkey in OWN)
    require(ours >= 1, "it pays us")
    lost = sum(int(txout.value) for txout in fallback.outputs) - paid
    lost -= sum(int(txout.value) for txout in theirs.outputs) - paid_to(theirs.outputs, OWN)
    offer = session_8.params.fee_contribution
    require(lost <= (int(offer.max_amount) if offer else 0), "no more is taken than was offered")
    require(lost >= 0, "nobody is given what is ours")


def _replacement(session: receiver.WantsOutputs, replaced: int) -> tuple[TxOut, ...] | None:
    """Other outputs of ours where they may be, worth what the sender paid."""
    if not replaced or not session.params.output_substitution:
        return None
    outputs = session.draft.original.unsigned_transaction.outputs
    kept = [outputs[index] for index in session.draft.receiver_outputs]
    senders = {outputs[at].script_pubkey for at in range(len(outputs))} - set(OWN)
    fresh = play.BOB.script(3)
    if fresh in senders or replaced == 1:
        return tuple(kept)
    return (TxOut(kept[0].value, fresh), *kept[1:])


def originals() -> Iterable[bytes]:
    for way in range(2):
        for query in range(len(QUERIES)):
            start = bytes((way, query, 0, query % 3))
            yield start
            yield bytes((way, query, 0, 3 + query % 3)) + bytes((2, 1, 0)) + (700).to_bytes(2)
            yield start + bytes((2, 1, 0)) + (700).to_bytes(2)
            yield start + bytes((8, 2 + query, 0, 10, 0, 9)) + bytes((0, 1, 0x20, 0))
    odd = b"v=2&maxadditionalfeecontribution=1&additionalfeeoutputindex=1"
    yield bytes((1, 0, 3, len(odd))) + odd + b"\0"
    yield bytes((0, 0, 3, len(odd))) + odd + b"\0"


def reading(data: bytes) -> None:
    """Anything in a mailbox, from a directory, or posted to an endpoint of ours."""
    choices = Choices(data)
    kind = choices.below(6)
    session, created = begun_http() if kind == 0 else begun(v1=kind == 1)
    life = Life(created)
    if kind == 0:
        query = choices.some().decode("latin-1")
        arrived = parsed(
            lambda: session.receive_v1(choices.rest(), query, now=play.NOW),
            error=(InvalidMessage, CounterpartyError),
        )
        if arrived is not None:
            life.save(arrived)
            life.end()
        return
    request, context = session.poll(play.RELAY, now=play.NOW, entropy=life.entropy)
    body = _answered(kind, choices, session, life, request)
    after = parsed(lambda: session.process_poll(body, context, now=play.NOW), error=TransportError)
    if after is not None:
        life.save(after)
        life.end()


def _answered(
    kind: int, choices: Choices, session: receiver.Initialized, life: Life, request: Request
) -> bytes:
    directory = Directory()
    made = play.Play(states=[session], directory=directory, entropy=life.entropy)
    match kind:
        case 1 | 2:
            made.put_raw(choices.rest()[:8_000])
        case 3:
            made.put(choices.rest()[:ORIGINAL_CAPACITY])
        case 4:
            _, reply = decapsulate(directory.key, request.body)
            response = BhttpResponse(200 + choices.number(2) % 400, body=choices.rest()[:8_000])
            return reply.seal(response.serialize(8_144))
        case _:
            return choices.rest().ljust(8_192, b"\0")
    return directory.serve(request)


def messages() -> Iterable[bytes]:
    text = play.ORIGINAL.to_base64().encode()
    yield b"\0\3v=1" + text
    yield b"\1" + text + b"\nv=1"
    yield b"\2" + bytes(7_168)
    yield b"\3" + encode_original(play.ORIGINAL, play.PARAMS)
    yield b"\3" + text + b"\nv=3"
    yield b"\4\0\2"
    yield b"\5" + bytes(80)


TARGETS = (
    Target("receiver-original", original, originals, longest=256),
    Target("receiver-mailbox", reading, messages, longest=2048),
)
