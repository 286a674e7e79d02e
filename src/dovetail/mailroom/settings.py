"""What an operator can decide about a mailroom."""

from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path

from dovetail.errors import ConfigurationError
from dovetail.serving.client_shares import OWN_PROXIES

MINUTE = 60.0
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class MailroomSettings:
    """The settings of one mailroom; times in seconds.

    Raises `ConfigurationError` for a limit that is not positive, or nothing to serve.
    """

    data_dir: Path
    """Where mailboxes and OHTTP keys are kept; made if missing."""
    _: KW_ONLY
    directory: bool = True
    """Serve mailboxes, behind an OHTTP gateway."""
    relay: bool = True
    """Forward to the gateways of others."""
    local: bool = False
    """For tests and demos on one machine: the relay reaches private addresses, plain http and
    its own gateway, which gives its users no privacy."""
    v1: bool = False
    """Let BIP 78 senders post in plaintext and wait for a receiver that is online."""
    ca_file: Path | None = None
    """PEM certificates the relay trusts instead of the system's."""
    proxies: tuple[str, ...] = OWN_PROXIES
    """Addresses or networks of your own proxies: no client, so none of the shares is theirs."""
    client_header: str | None = None
    """The header in which they write the client's address last, such as `x-forwarded-for`."""

    ttl: float = 7 * DAY
    """How long a message is kept; must exceed the sessions' EX plus their grace."""
    longest_session: float = 30 * DAY
    """How far ahead the EX of a session can lie: how long its OHTTP key must work."""
    key_lifetime: float = 90 * DAY
    """How long an OHTTP key is served before the next one takes its place."""

    wait: float = 30.0
    """How long a poll of an empty mailbox waits (BIP 77); a v1 sender for its proposal, too."""
    read_timeout: float = 10.0
    """How long a client may take to send a request."""
    forward_timeout: float = 45.0
    """How long the relay waits for a gateway: more than a long poll, at least 40."""
    tunnel_timeout: float = 60.0
    """How long a bootstrap tunnel lives."""
    drain_timeout: float = 8.0
    """How long requests in flight may take once the mailroom is told to stop."""
    housekeeping: float = MINUTE
    """How often expired messages are removed and the age of the keys is checked."""

    max_bytes: int | None = None
    """Bytes of disk for messages, about 8 KB each; None is half of what is free at the start."""
    max_new_mailboxes: int | None = None
    """New mailboxes in an hour; None is what fills the space in a day. The last fifth of the
    space is always given out more slowly: within `ttl`."""
    max_new_mailboxes_per_client: int | None = None
    """The same for one client's network, which is a relay's for most; None is an eighth."""
    max_connections: int = 10_000
    """Connections at once, and requests in flight at once."""
    max_connections_per_client: int = 2_048
    """Of one client's network; relays keep one for each of their users who polls."""
    keep_alive: float = MINUTE
    """How long a connection is kept between two requests."""
    max_writes: int = 1_024
    """Messages on their way to the disk."""
    max_waits: int = 8_192
    """Long polls at once."""
    max_waits_per_client: int = 4_096
    """Of one client's network, which is a relay's for most."""
    max_waits_per_mailbox: int = 4
    """Long polls at once of one mailbox; one more takes the place of one that has waited for
    half of its time, or is refused."""
    max_v1_waits: int = 256
    """BIP 78 senders who wait at once."""
    max_v1_waits_per_client: int = 16
    max_forwards: int = 2_048
    """Requests at gateways at once; of one client, and of one gateway, at most half."""
    max_forwards_per_client: int = 128
    max_forwards_per_minute: int = 600
    """Requests that one client may have forwarded in a minute."""
    max_lookups: int = 64
    """Gateways that are asked at once whether they opted in."""
    max_lookups_per_client: int = 4
    max_tunnels: int = 256
    max_tunnels_per_client: int = 32
    tunnel_ports: tuple[int, ...] = (443,)
    """The ports of gateways to which tunnels go; with `local`, any."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) in (int, float) and not value > 0:
                raise ConfigurationError(f"`{field.name}` must be greater than 0: raise it.")
        if not (self.directory or self.relay):
            raise ConfigurationError("A mailroom must be a directory, a relay or both: choose.")

    @property
    def database(self) -> Path:
        """The file of the mailboxes."""
        return self.data_dir / "mailboxes.db"

    @property
    def files_beside(self) -> int:
        """How many files its relay may have open at once."""
        return self.max_forwards + 2 * self.max_tunnels + self.max_lookups if self.relay else 0

    @property
    def key_file(self) -> Path:
        """The file of the OHTTP keys."""
        return self.data_dir / "ohttp-keys.json"

    @property
    def honoured(self) -> float:
        """How long an OHTTP key is still accepted after it was replaced."""
        return self.ttl + self.longest_session
