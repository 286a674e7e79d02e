"""Directories that lie: about what lies in a mailbox, about their keys, about everything."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.hostile.payment import Ends, Played, Stage, played_by
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in
from tests.properties.histories.wire import flip
from tests.support.directory import RESPONSE_SIZE, Directory

from dovetail.crypto.bhttp import BhttpRequest
from dovetail.crypto.ohttp import GatewayKey, UnknownKeyId, decapsulate
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import MESSAGE_SIZE
from dovetail.protocol.requests import Request
from dovetail.runtime.transport import Reply
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

Answer = tuple[int, bytes]
Lie = Callable[["Liar", BhttpRequest, Answer], Answer]
"""What is answered instead of what an honest directory would."""


@dataclass
class Liar(Directory):
    """A directory that tells one lie, as soon as it is told to."""

    lie: Lie = lambda _liar, _request, honest: honest
    lying: bool = False
    sealed: list[bytes] = field(default_factory=list)
    """Every answer it gave."""
    malformed: bytes | None = None
    """What it seals instead of Binary HTTP."""

    def _answer(self, request: BhttpRequest) -> Answer:
        honest = super()._answer(request)
        return self.lie(self, request, honest) if self.lying else honest

    def serve(self, request: Request) -> bytes:
        if self.lying and self.malformed is not None:
            _, context = decapsulate(self.key, request.body)
            return context.seal(self.malformed.ljust(RESPONSE_SIZE, b"\0"))
        answer = super().serve(request)
        self.sealed.append(answer)
        return answer


def polls(request: BhttpRequest) -> bool:
    return request.method == "GET"


# to the sender


def has_nothing(_liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
    return (202, b"") if polls(request) else honest


def gives(message: bytes) -> Lie:
    return lambda _liar, request, honest: (200, message) if polls(request) else honest


def gives_anothers(liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
    if not polls(request):
        return honest
    name = request.path.removeprefix("/")
    return 200, next(each for other, each in liar.mailboxes.items() if other != name)


def spoils(_liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
    status, message = honest
    return (status, flip(message, 4000)) if polls(request) and message else honest


def says(status: int, method: str) -> Lie:
    return lambda _liar, request, honest: (
        (status, b"\x1b[2J") if request.method == method else honest
    )


def _liar(stage: Stage, lie: Lie, malformed: bytes | None = None) -> Liar:
    liar = Liar(lie=lie, malformed=malformed)
    stage.world.wire.directory = liar
    return liar


def to_the_sender(lie: Lie, *, malformed: bytes | None = None, patient: bool = False) -> Play:
    """The receiver's answer is ready; the sender who polls for it is lied to."""

    async def play(stage: Stage) -> Played:
        liar = _liar(stage, lie, malformed)
        sending, receiving = await stage.begin(sender.PollingForProposal)
        await stage.until(receiving, receiver.Monitor)
        liar.lying = True
        if not patient:
            await stage.until(sending, sender.PendingFallback)
        return played_by(sending, receiving)

    return play


def to_the_poster(lie: Lie) -> Play:
    """The sender who posts the Original is lied to."""

    async def play(stage: Stage) -> Played:
        liar = _liar(stage, lie)
        sending, receiving = await stage.begin(sender.PostingOriginal)
        liar.lying = True
        return played_by(sending, receiving)

    return play


def to_the_receiver(lie: Lie) -> Play:
    """The receiver who polls for the Original is lied to."""

    async def play(stage: Stage) -> Played:
        liar = _liar(stage, lie)
        sending, receiving = await stage.begin(sender.PollingForProposal)
        liar.lying = True
        await stage.step(receiving)
        assert isinstance(receiving.state, receiver.Initialized)
        return played_by(sending, receiving)

    return play


def changes_its_key(key_id: int) -> Play:
    """In the middle of a session, without honouring the old one; RFC 9458 has it say so."""

    async def play(stage: Stage) -> Played:
        liar = _liar(stage, lambda _liar, _request, honest: honest)
        sending, receiving = await stage.begin(sender.PostingOriginal)
        fresh = GatewayKey(key_id, SecretKey(b"\x06" * 32))
        serve = liar.serve

        def refuse(request: Request) -> bytes:
            try:
                decapsulate(fresh, request.body)
            except UnknownKeyId:
                return b'{"type":"https://iana.org/assignments/http-problem-types#ohttp-key"}'
            return serve(request)

        liar.serve = refuse  # type: ignore[method-assign]
        stage.world.wire.fault = lambda _request, reply: Reply(400, reply.body)
        return played_by(sending, receiving)

    return play


GARBAGE = b"\x91" * MESSAGE_SIZE
UNREADABLE = Reason.PROPOSAL_UNREADABLE.words
SILENT = Reason.EXPIRED_WAITING_FOR_PROPOSAL.words
FAILED = Reason.DIRECTORY_UNREACHABLE.words
ENDS_IT = "Ends the negotiation, and makes the ordinary payment."
WAITS = "Waits until the expiration, then makes the ordinary payment."
IGNORES = "The receiver ignores it; the ordinary payment is made at the expiration."
ONE_MESSAGE = "BIP 77: a mailbox keeps its first message, so what cannot be read ends it"
EXPIRES = "M3; BIP 77, expiration"


def lies(
    told: str,
    *,
    we: str = ENDS_IT,
    rule: str = ONE_MESSAGE,
    ends: Ends = Ends.ORDINARY,
    **named: str,
) -> Decorator:
    return trick(peer=Peer.DIRECTORY, we=we, rule=rule, told=told, ends=ends, playing=None, **named)


_TABLE_1 = (
    lies(
        SILENT,
        we=WAITS,
        rule=EXPIRES,
        name="has nothing",
        words="Says 202 for ever, though the answer has come.",
    )(to_the_sender(has_nothing, patient=True)),
)


@lies(SILENT, we=WAITS, rule=EXPIRES, name="loses the Original")
async def loses_the_original(stage: Stage) -> Played:
    """Says 200 to the Original and keeps nothing."""

    def lose(liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
        if request.method == "POST":
            del liar.mailboxes[request.path.removeprefix("/")]
        return honest

    return await to_the_poster(lose)(stage)


@lies(SILENT, we=IGNORES, rule=EXPIRES)
async def squats_the_mailbox(stage: Stage) -> Played:
    """Puts noise into the receiver's mailbox before the sender comes."""
    liar = _liar(stage, lambda _liar, _request, honest: honest)
    receiving = stage.bob.receive()
    endpoint = receiving.uri.endpoint
    liar.mailboxes[str(getattr(endpoint, "short_id", ""))] = b"\xaa" * MESSAGE_SIZE
    sending = await stage.alice.send(receiving.uri)
    await stage.until(sending, sender.PollingForProposal)
    await stage.step(receiving)
    return played_by(sending, receiving)


_TABLE_2 = (
    lies(
        UNREADABLE,
        rule="BIP 77, Message B: sealed to the reply key by the receiver key",
        name="serves another's message",
        words="Serves the sender what lies in another mailbox.",
    )(to_the_sender(gives_anothers)),
    lies(UNREADABLE, name="serves garbage", words="Answers 200 with noise of the right size.")(
        to_the_sender(gives(GARBAGE))
    ),
    lies(UNREADABLE, name="serves nothing", words="Answers 200 with an empty body.")(
        to_the_sender(gives(b""))
    ),
    lies(UNREADABLE, name="cuts a message short", words="Serves a message without its last byte.")(
        to_the_sender(gives(GARBAGE[:-1]))
    ),
    lies(UNREADABLE, name="serves too much", words="Serves a message of 8000 bytes.")(
        to_the_sender(gives(bytes(8000)))
    ),
    lies(
        UNREADABLE,
        rule="BIP 77, Message B: the ciphertext is authenticated",
        name="spoils a message",
        words="Flips one bit of the receiver's message.",
    )(to_the_sender(spoils)),
    lies(
        SILENT,
        we=IGNORES,
        rule="BIP 77, Message A: the ciphertext is authenticated",
        name="spoils the Original",
        words="Flips one bit of the sender's message.",
    )(to_the_receiver(spoils)),
)


@lies(SILENT, we=IGNORES, rule="BIP 77, Message A: sealed to one receiver key")
async def swaps_two_mailboxes(stage: Stage) -> Played:
    """Serves each of two receivers the other's Original."""
    # Two receivers, each with the other's Original.
    receiving, other = stage.bob.receive(), stage.bob.receive()
    names = [str(getattr(each.uri.endpoint, "short_id", "")) for each in (receiving, other)]

    def swap(liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
        name = request.path.removeprefix("/")
        if not polls(request) or name not in names:
            return honest
        return 200, liar.mailboxes[names[1 - names.index(name)]]

    liar = _liar(stage, swap)
    sending = await stage.alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    another = await stage.alice.send(other.uri)
    await another.to(sender.PollingForProposal)
    liar.lying = True
    for each in (receiving, other):
        await stage.step(each)
        assert isinstance(each.state, receiver.Initialized)
    return Played(
        sessions=(sending, another, receiving, other),
        address=receiving.uri.address,
        fallback=sending.state.fallback_transaction,
    )


_TABLE_3 = (
    lies(
        Reason.DIRECTORY_REFUSED.words,
        rule="BIP 77: a 4xx inside OHTTP is final",
        name="refuses the Original",
        words="Answers the Original with 403.",
    )(to_the_poster(says(403, "POST"))),
    lies(
        FAILED,
        we="Asks again until the expiration, then makes the ordinary payment.",
        rule=EXPIRES,
        name="refuses to serve",
        words="Answers each poll with 404.",
    )(to_the_sender(says(404, "GET"), patient=True)),
    lies(
        "The directory answered with status 503; try again later.",
        we="Asks again until the expiration, then makes the ordinary payment.",
        rule=EXPIRES,
        name="is always busy",
        words="Answers each poll with 503.",
    )(to_the_sender(says(503, "GET"), patient=True)),
    lies(
        "The directory's answer cannot be read; try again, or use another relay.",
        we="Asks again until the expiration, then makes the ordinary payment.",
        rule="RFC 9292: parsers are total",
        name="seals no HTTP",
        words="Seals something that is no Binary HTTP.",
    )(to_the_sender(has_nothing, malformed=b"\x91", patient=True)),
    lies(
        "The directory's answer cannot be read; try again, or use another relay.",
        we="Asks again until the expiration, then makes the ordinary payment.",
        rule="RFC 9292: lengths are held to the bytes there are",
        name="announces more than there is",
        words="Seals a response that announces 2⁶² bytes.",
    )(to_the_sender(has_nothing, malformed=b"\x01\x40\xc8\x00" + b"\xff" * 8, patient=True)),
    lies(
        "The directory's answer cannot be read; try again, or use another relay.",
        we="Asks again until the expiration, then makes the ordinary payment.",
        rule="RFC 9292: parsers end where the bytes do",
        name="sends status after status",
        words="Seals nothing but informational responses.",
    )(
        to_the_sender(
            has_nothing, malformed=b"\x01" + b"\x40\x66\x00" * 2714 + b"\x00", patient=True
        )
    ),
)


@lies(
    "The directory's answer cannot be read; try again, or use another relay.",
    we="Cannot open it, as it is for another request, and asks afresh.",
    rule="RFC 9458, 4.4: the key of an answer comes from its own request",
    ends=Ends.PAYJOIN,
)
async def replays_an_answer(stage: Stage) -> Played:
    """Sends the sealed answer to an earlier poll again."""
    # The sealed answer to an earlier poll, byte for byte.
    liar = _liar(stage, lambda _liar, _request, honest: honest)
    sending, receiving = await stage.begin(sender.PollingForProposal)
    await stage.step(sending)
    stale = liar.sealed[-1]
    await stage.until(receiving, receiver.Monitor)
    stage.world.wire.fault = lambda _request, _reply: Reply(200, stale)
    await stage.step(sending)
    stage.world.wire.fault = None
    await stage.until(sending, sender.Monitor)
    return played_by(sending, receiving)


_TABLE_4 = (
    lies(
        "The OHTTP relay, or the directory behind it, answered with status 400.",
        we="Trusts no key but the URI's; makes the ordinary payment at the expiration.",
        rule="BIP 77: the OHTTP key is in the URI; M3",
        name="changes its key",
        words="Forgets the key that the URI names while the session is under way.",
    )(changes_its_key(2)),
)


TRICKS = tricks_in(globals())
