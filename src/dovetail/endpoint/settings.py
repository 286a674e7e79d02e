"""What can be decided about an endpoint."""

from dataclasses import dataclass

from dovetail.protocol.exchange import V1_BODY_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """Limits; times in seconds."""

    body_limit: int = V1_BODY_LIMIT
    """Bytes of an Original PSBT in base64."""
    max_bodies: int = 16
    """Bodies that are read at once."""
    max_connections: int = 256
    read_timeout: float = 10.0
    """How long a client may take to send a request."""
    hold: float = 40.0
    """How long a sender waits for the proposal at most: less than proxies usually allow."""
    drain_timeout: float = 8.0
    """How long requests in flight may take once the endpoint is told to stop."""
