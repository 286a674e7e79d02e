"""The settings of a mailroom."""

from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path

from dovetail.errors import ConfigurationError
from dovetail.serving.client_shares import OWN_PROXIES

MINUTE = 60.0
DAY = 86_400.0
MAY_BE_NONE = frozenset({"drain_delay", "heartbeat"})
"""Durations that may be 0."""


@dataclass(frozen=True, slots=True)
class MailroomSettings:
    """The settings of one mailroom; times in seconds.

    Raises `ConfigurationError` for a limit that is not positive, or if neither role is enabled.
    """

    data_dir: Path
    """The folder of mailboxes and OHTTP keys; created if missing."""
    _: KW_ONLY
    directory: bool = True
    """Serve mailboxes, behind an OHTTP gateway."""
    relay: bool = True
    """Forward requests to gateways, also of other operators."""
    local: bool = False
    """For tests and demos on one machine: the relay also reaches private addresses, plain http and
    its own gateway. This gives users no privacy."""
    v1: bool = False
    """Let BIP 78 senders post in plaintext and wait for a receiver that is online."""
    ca_file: Path | None = None
    """PEM certificates the relay trusts instead of the system's."""
    proxies: tuple[str, ...] = OWN_PROXIES
    """Addresses or networks of your own proxies; they do not count as clients."""
    client_header: str | None = None
    """The header in which your proxies write the client's address last, such as
    `x-forwarded-for`."""

    public_url: str | None = None
    """Where others reach the directory; `dovetail mailroom check` looks there."""
    blocklists: tuple[Path, ...] = ()
    """Files of networks that are refused, beside those that `dovetail mailroom block` keeps."""

    proxy_protocol: bool = False
    """Connections of your own `proxies` begin with a header of the PROXY protocol, version 2."""

    ttl: float = 7 * DAY
    """How long a message is kept; it must exceed the sessions' EX plus their grace."""
    longest_session: float = 30 * DAY
    """The longest time to a session's EX; its OHTTP key must work until then."""
    key_lifetime: float = 90 * DAY
    """How long an OHTTP key is published before the next one replaces it."""

    wait: float = 30.0
    """How long a poll of an empty mailbox waits, and a v1 sender for its proposal (BIP 77)."""
    read_timeout: float = 10.0
    """How long a client may take to send a request."""
    forward_timeout: float = 45.0
    """How long the relay waits for a gateway; at least 40, which is more than a long poll."""
    tunnel_timeout: float = 60.0
    """How long a bootstrap tunnel lives."""
    drain_timeout: float = 8.0
    """How long running requests may take after the mailroom is told to stop."""
    drain_delay: float = 0.0
    """How long the mailroom goes on after it was told to stop, while `/health/ready` says so."""
    housekeeping: float = MINUTE
    """The interval at which expired messages are removed and the keys' age is checked."""

    max_bytes: int | None = None
    """Bytes of disk for messages, about 8 KB each; None means half of the free disk at the
    start."""
    max_new_mailboxes: int | None = None
    """New mailboxes in an hour; None means the rate that fills the space in a day. The last fifth
    of the space is always filled more slowly: within `ttl`."""
    max_new_mailboxes_per_client: int | None = None
    """The same for one client's network, usually a relay's; None means an eighth."""
    max_connections: int = 10_000
    """Connections at once, and requests in flight at once."""
    max_connections_per_client: int = 2_048
    """Connections of one client's network; a relay keeps one for each of its polling users."""
    keep_alive: float = MINUTE
    """How long a connection is kept between two requests."""
    max_writes: int = 1_024
    """Messages that wait to be written."""
    max_waits: int = 8_192
    """Long polls at once."""
    max_waits_per_client: int = 4_096
    """Long polls of one client's network, usually a relay's."""
    max_waits_per_mailbox: int = 4
    """Long polls of one mailbox at once. One more replaces a poll that has waited for half of its
    time, or is refused."""
    max_v1_waits: int = 256
    """BIP 78 senders that wait at once."""
    max_v1_waits_per_client: int = 16
    max_forwards: int = 2_048
    """Requests at gateways at once; to one gateway at most half."""
    max_forwards_per_client: int = 128
    max_forwards_per_minute: int = 600
    """Requests that one client may have forwarded in a minute."""
    max_lookups: int = 64
    """Gateways that are probed at once for their opt-in."""
    max_lookups_per_client: int = 4
    max_tunnels: int = 256
    max_tunnels_per_client: int = 32
    tunnel_ports: tuple[int, ...] = (443,)
    """The ports of gateways that tunnels may lead to; with `local` any port."""

    json_log: bool = False
    """Write the log of `serve` as JSON."""
    metrics: tuple[str, int] | None = None
    """Where Prometheus asks for metrics; None means nowhere."""
    heartbeat: float = 60 * MINUTE
    """The interval at which a line in the log says that the mailroom runs; 0 means never."""
    contact: str | None = None
    """How visitors reach the operator: an e-mail address, or a URI with https, mailto or tel."""
    policy: str | None = None
    """What the operator promises, or an https address where that is written."""
    tls_cert: Path | None = None
    """PEM certificates of the mailroom's own port, its own first; None speaks plain HTTP."""
    tls_key: Path | None = None
    """The PEM key of that certificate, without a password."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in MAY_BE_NONE else None
            if type(value) in (int, float) and not (value > 0 or value == least):
                raise ConfigurationError(f"`{field.name}` must be greater than 0: raise it.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("`tls_cert` and `tls_key` belong together: set both or none.")
        if self.proxy_protocol and self.tls_cert is not None:
            raise ConfigurationError(
                "With `proxy_protocol` TLS ends at the proxy: remove it, or `tls_cert`."
            )
        if not (self.directory or self.relay):
            raise ConfigurationError("A mailroom must be a directory, a relay or both: choose.")

    @property
    def database(self) -> Path:
        """The file of the mailboxes."""
        return self.data_dir / "mailboxes.db"

    @property
    def files_beside(self) -> int:
        """The number of files that the relay may have open at once."""
        return self.max_forwards + 2 * self.max_tunnels + self.max_lookups if self.relay else 0

    @property
    def key_file(self) -> Path:
        """The file of the OHTTP keys."""
        return self.data_dir / "ohttp-keys.json"

    @property
    def block_file(self) -> Path:
        """The file of the networks that `dovetail mailroom block` refuses."""
        return self.data_dir / "blocked-networks.txt"

    @property
    def honoured(self) -> float:
        """How long an OHTTP key is accepted after it was replaced."""
        return self.ttl + self.longest_session
