"""A directory behind its OHTTP gateway, in memory, with real cryptography (BIP 77)."""

from dataclasses import dataclass, field

from dovetail.crypto import BhttpRequest, BhttpResponse, SecretKey
from dovetail.crypto.ohttp import GatewayKey, KeyConfig, decapsulate
from dovetail.protocol.requests import Request

RESPONSE_SIZE = 8144


@dataclass
class Directory:
    """Mailboxes that keep the first message; `status` overrides every inner answer."""

    origin: str = "https://directory.example"
    key: GatewayKey = field(default_factory=lambda: GatewayKey(1, SecretKey(b"\x05" * 32)))
    mailboxes: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, bytes] = field(default_factory=dict)
    """What was PUT for v1 senders, by mailbox."""
    bodies: list[bytes] = field(default_factory=list)
    """Every ciphertext that arrived (P1)."""
    status: int | None = None

    @property
    def config(self) -> KeyConfig:
        return self.key.config

    def serve(self, request: Request) -> bytes:
        self.bodies.append(request.body)
        message, context = decapsulate(self.key, request.body)
        status, body = self._answer(BhttpRequest.parse(message))
        return context.seal(BhttpResponse(status, body=body).serialize(RESPONSE_SIZE))

    def _answer(self, request: BhttpRequest) -> tuple[int, bytes]:
        assert f"{request.scheme}://{request.authority}" == self.origin
        name = request.path.removeprefix("/")
        if self.status is not None:
            return self.status, b""
        match request.method:
            case "POST":
                self.mailboxes.setdefault(name, request.body)
                return 200, b""
            case "PUT":
                self.replies[name] = request.body
                return 200, b""
            case _:
                message = self.mailboxes.get(name)
                return (202, b"") if message is None else (200, message)
