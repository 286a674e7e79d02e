"""A directory and a network that lose, repeat, delay, swap and spoil what they carry."""

from dataclasses import dataclass, field
from typing import Any

from tests.properties.histories.ledger import require

from dovetail.crypto import BhttpRequest, BhttpResponse, Entropy, SecretKey
from dovetail.crypto.ohttp import GatewayKey, ReplyContext, decapsulate
from dovetail.protocol.mailbox import MESSAGE_SIZE
from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE, OhttpContext, Request

ORIGIN = "https://directory.example"
RELAY = "https://relay.example"
RESPONSE_SIZE = 8144

FATES = (
    "lost",
    "unanswered",
    "served twice",
    "busy",
    "refused",
    "forbidden",
    "plain error",
    "noise",
    "spoilt",
    "another's answer",
    "another's message",
    "old message",
    "no message",
)
"""What may become of a request, besides an honest answer."""

_STATUSES = {"busy": 503, "refused": 400, "forbidden": 404}


@dataclass
class Flight:
    """A request on its way: it may arrive at any time, or never."""

    state: Any
    """The handle that asked."""
    context: OhttpContext
    inner: BhttpRequest
    reply: ReplyContext


@dataclass
class Wire:
    """Mailboxes keep their first message, if the directory is honest."""

    entropy: Entropy
    key: GatewayKey = field(default_factory=lambda: GatewayKey(1, SecretKey(b"\x05" * 32)))
    mailboxes: dict[str, bytes] = field(default_factory=dict)
    puts: dict[str, bytes] = field(default_factory=dict)
    past: list[bytes] = field(default_factory=list)
    """Every message the directory ever saw."""
    flights: list[Flight] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)

    def send(self, state: Any, request: Request, context: OhttpContext) -> Flight:
        """A party lets a request go; what it may not repeat is compared with all before."""
        body = request.body
        require("P5", len(body) == OHTTP_MESSAGE_SIZE, "a request has another size")
        self._fresh(body[7:72], "an OHTTP key was used again")
        self._fresh(body[72:], "an OHTTP ciphertext was sent again")
        message, reply = decapsulate(self.key, body)
        inner = BhttpRequest.parse(message)
        if inner.method == "POST":
            require("P5", len(inner.body) == MESSAGE_SIZE, "a message has another size")
            self._fresh(inner.body[:64], "an HPKE key was used again")
            self._fresh(inner.body[64:], "an HPKE ciphertext was sent again")
        flight = Flight(state, context, inner, reply)
        self.flights.append(flight)
        return flight

    def _fresh(self, data: bytes, what: str) -> None:
        require("P1", data not in self.seen, what)
        self.seen.add(data)

    def arrive(self, flight: Flight, fate: str = "honest") -> bytes | None:
        """The answer that comes back for a request; None: nothing does."""
        self.flights = [each for each in self.flights if each is not flight]
        if fate == "lost":
            return None
        if fate == "noise":
            return self.entropy(OHTTP_MESSAGE_SIZE)
        if fate == "plain error":
            return b"<html>Bad gateway</html>"
        status, body = self._serve(flight.inner, fate)
        sealed = flight.reply.seal(
            BhttpResponse(status, body=body).serialize(RESPONSE_SIZE), entropy=self.entropy
        )
        self.answers.append(sealed)
        if fate == "unanswered":
            return None
        if fate == "spoilt":
            return flip(sealed, 4000)
        if fate == "another's answer":
            return self.answers[0]
        return sealed

    def _serve(self, inner: BhttpRequest, fate: str) -> tuple[int, bytes]:
        name = inner.path.removeprefix("/")
        if fate in _STATUSES:
            return _STATUSES[fate], b""
        if inner.method == "POST":
            self.past.append(inner.body)
            kept = self.mailboxes.setdefault(name, inner.body)
            return (409 if fate == "served twice" and kept != inner.body else 200), b""
        if inner.method == "PUT":
            self.puts.setdefault(name, inner.body)
            return 200, b""
        message = self.mailboxes.get(name)
        if fate == "another's message":
            message = next((m for n, m in self.mailboxes.items() if n != name), message)
        elif fate == "old message":
            message = self.past[0] if self.past else message
        if message is None or fate == "no message":
            return 202, b""
        return 200, message

    def lose_message(self, index: int) -> None:
        if self.mailboxes:
            del self.mailboxes[self._name(index)]

    def spoil_message(self, index: int, at: int) -> None:
        if self.mailboxes:
            name = self._name(index)
            self.mailboxes[name] = flip(self.mailboxes[name], at)

    def swap_messages(self) -> None:
        names = sorted(self.mailboxes)
        messages = [self.mailboxes[name] for name in names]
        self.mailboxes = dict(zip(names, messages[1:] + messages[:1], strict=True))

    def _name(self, index: int) -> str:
        names = sorted(self.mailboxes)
        return names[index % len(names)]


def flip(data: bytes, at: int) -> bytes:
    """The same bytes with one of them changed."""
    if not data:
        return data
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
