"""The settings of a BIP 78 endpoint."""

from dataclasses import dataclass

from dovetail.protocol.requests import V1_BODY_LIMIT
from dovetail.serving.client_shares import OWN_PROXIES


@dataclass(frozen=True, slots=True, kw_only=True)
class V1ServerSettings:
    """Limits; times in seconds. A client is a network: an IPv4 /24 or an IPv6 /56."""

    body_limit: int = V1_BODY_LIMIT
    """Bytes of an Original PSBT in base64."""
    max_bodies: int = 16
    """Bodies that are read or passed to sessions at once."""
    max_bodies_per_client: int = 4
    max_held: int = 256
    """Senders that wait for the answer of their session."""
    max_held_per_client: int = 32
    max_held_per_session: int = 32
    max_connections: int = 256
    max_connections_per_client: int = 64
    keep_alive: float = 15.0
    """How long a connection is kept between two requests."""
    read_timeout: float = 10.0
    """How long a client may take to agree on TLS, to send a request, and to read its answer."""
    hold: float = 40.0
    """The longest wait of a sender for the proposal, in less time than proxies usually allow."""
    drain_timeout: float = 8.0
    """How long running requests may take after the endpoint is told to stop."""
    proxies: tuple[str, ...] = OWN_PROXIES
    """Addresses or networks of your own proxies; they do not count as clients."""
    client_header: str | None = None
    """The header in which your proxies write the client's address last, such as
    `x-forwarded-for`."""
