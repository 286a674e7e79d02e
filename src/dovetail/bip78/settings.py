"""What can be decided about an endpoint."""

from dataclasses import dataclass

from dovetail.protocol.requests import V1_BODY_LIMIT
from dovetail.serving.client_shares import OWN_PROXIES


@dataclass(frozen=True, slots=True, kw_only=True)
class V1ServerSettings:
    """Limits; times in seconds. A client is a network: an IPv4 /24 or an IPv6 /56."""

    body_limit: int = V1_BODY_LIMIT
    """Bytes of an Original PSBT in base64."""
    max_bodies: int = 16
    """Bodies that are read, and handed to their sessions, at once."""
    max_bodies_per_client: int = 4
    max_held: int = 256
    """Senders who wait for the answer of their session."""
    max_held_per_client: int = 32
    max_held_per_session: int = 32
    max_connections: int = 256
    max_connections_per_client: int = 64
    keep_alive: float = 15.0
    """How long a connection is kept between two requests."""
    read_timeout: float = 10.0
    """How long a client may take to agree on TLS, to send a request, and to read its answer."""
    hold: float = 40.0
    """How long a sender waits for the proposal at most: less than proxies usually allow."""
    drain_timeout: float = 8.0
    """How long requests in flight may take once the endpoint is told to stop."""
    proxies: tuple[str, ...] = OWN_PROXIES
    """Addresses or networks of your own proxies: no client, so none of the shares is theirs."""
    client_header: str | None = None
    """The header in which they write the client's address last, such as `x-forwarded-for`."""
