"""Directories that lie: about what lies in a mailbox, about their keys, about everything."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Play, Tricks
from tests.properties.histories.wire import flip
from tests.support.directory import RESPONSE_SIZE, Directory
from tests.support.stepping import Receiving

from dovetail.crypto import BhttpRequest, GatewayKey, SecretKey, UnknownKeyId, decapsulate
from dovetail.protocol import MESSAGE_SIZE, Request
from dovetail.runtime.transport import Reply
from dovetail.sessions import receiver, sender

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


def mailbox(request: BhttpRequest) -> str:
    return request.path.removeprefix("/")


def honest(_liar: Liar, _request: BhttpRequest, honest: Answer) -> Answer:
    return honest


def to_polls(lie: Lie) -> Lie:
    """It lies to polls alone."""
    return lambda liar, request, honest: lie(liar, request, honest) if polls(request) else honest


def gives(message: bytes) -> Lie:
    return to_polls(lambda _liar, _request, _honest: (200, message))


@to_polls
def has_nothing(_liar: Liar, _request: BhttpRequest, _honest: Answer) -> Answer:
    return 202, b""


@to_polls
def gives_anothers(liar: Liar, request: BhttpRequest, _honest: Answer) -> Answer:
    return 200, next(each for other, each in liar.mailboxes.items() if other != mailbox(request))


@to_polls
def spoils(_liar: Liar, _request: BhttpRequest, honest: Answer) -> Answer:
    status, message = honest
    return (status, flip(message, 4000)) if message else honest


def loses(liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
    if request.method == "POST":
        del liar.mailboxes[mailbox(request)]
    return honest


def says(status: int, method: str) -> Lie:
    return lambda _liar, request, honest: (
        (status, b"\x1b[2J") if request.method == method else honest
    )


def _liar(stage: Stage, lie: Lie = honest, malformed: bytes | None = None) -> Liar:
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
        parties = await stage.begin(sender.PostingOriginal)
        liar.lying = True
        return played_by(*parties)

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
        liar = _liar(stage)
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
ANNOUNCES_TOO_MUCH = b"\x01\x40\xc8\x00" + b"\xff" * 8
STATUS_AFTER_STATUS = b"\x01" + b"\x40\x66\x00" * 2714 + b"\x00"

TRICKS = Tricks()
TRICKS.update(
    has_nothing=to_the_sender(has_nothing, patient=True),
    loses_the_original=to_the_poster(loses),
    serves_anothers_message=to_the_sender(gives_anothers),
    serves_garbage=to_the_sender(gives(GARBAGE)),
    serves_nothing=to_the_sender(gives(b"")),
    cuts_a_message_short=to_the_sender(gives(GARBAGE[:-1])),
    serves_too_much=to_the_sender(gives(bytes(8000))),
    spoils_a_message=to_the_sender(spoils),
    spoils_the_original=to_the_receiver(spoils),
    refuses_the_original=to_the_poster(says(403, "POST")),
    refuses_to_serve=to_the_sender(says(404, "GET"), patient=True),
    is_always_busy=to_the_sender(says(503, "GET"), patient=True),
    seals_no_http=to_the_sender(has_nothing, malformed=b"\x91", patient=True),
    announces_more_than_there_is=to_the_sender(
        has_nothing, malformed=ANNOUNCES_TOO_MUCH, patient=True
    ),
    sends_status_after_status=to_the_sender(
        has_nothing, malformed=STATUS_AFTER_STATUS, patient=True
    ),
    changes_its_key=changes_its_key(2),
)


def _place(receiving: Receiving) -> str:
    return str(getattr(receiving.uri.endpoint, "short_id", ""))


@TRICKS
async def squats_the_mailbox(stage: Stage) -> Played:
    liar = _liar(stage)
    receiving = stage.bob.receive()
    liar.mailboxes[_place(receiving)] = b"\xaa" * MESSAGE_SIZE
    sending = await stage.alice.send(receiving.uri)
    await stage.until(sending, sender.PollingForProposal)
    await stage.step(receiving)
    return played_by(sending, receiving)


@TRICKS
async def swaps_two_mailboxes(stage: Stage) -> Played:
    # Two receivers, each with the other's Original.
    receiving, other = stage.bob.receive(), stage.bob.receive()
    names = [_place(each) for each in (receiving, other)]

    def swap(liar: Liar, request: BhttpRequest, honest: Answer) -> Answer:
        name = mailbox(request)
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
    played = played_by(sending, receiving)
    return replace(played, sessions=(sending, another, receiving, other))


@TRICKS
async def replays_an_answer(stage: Stage) -> Played:
    # The sealed answer to an earlier poll, byte for byte.
    liar = _liar(stage)
    sending, receiving = await stage.begin(sender.PollingForProposal)
    await stage.step(sending)
    stale = liar.sealed[-1]
    await stage.until(receiving, receiver.Monitor)
    stage.world.wire.fault = lambda _request, _reply: Reply(200, stale)
    await stage.step(sending)
    stage.world.wire.fault = None
    await stage.until(sending, sender.Monitor)
    return played_by(sending, receiving)
