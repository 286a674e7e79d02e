"""New settings for a mailroom that runs: all of them are checked before any of them holds."""

import ssl
from dataclasses import dataclass, fields, replace

from dovetail.mailroom.landing import Landing
from dovetail.mailroom.relay import trust
from dovetail.mailroom.settings import MailroomSettings
from dovetail.serving.blocklist import Blocklist
from dovetail.serving.client_shares import Clients

RESTART = frozenset(
    {
        *("data_dir", "directory", "relay", "local", "v1", "ttl", "longest_session", "wait"),
        *("max_writes", "max_waits", "max_waits_per_client", "max_waits_per_mailbox"),
        *("max_v1_waits", "max_v1_waits_per_client", "metrics", "json_log"),
        *("tls_cert", "tls_key"),
    }
)
"""Settings that hold until the mailroom is restarted."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a mailroom is to go on with."""

    settings: MailroomSettings
    blocked: Blocklist
    trusted: ssl.SSLContext
    """The certificates that the relay trusts."""
    landing: Landing
    """What visitors are shown."""
    later: tuple[str, ...] = ()
    """The settings that were changed and need a restart; `settings` has their former values."""


def prepare(running: MailroomSettings, wanted: MailroomSettings) -> Fresh:
    """Read the files that the settings name, and check all; raises `ConfigurationError`."""
    later = tuple(
        each.name
        for each in fields(MailroomSettings)
        if each.name in RESTART and getattr(wanted, each.name) != getattr(running, each.name)
    )
    settings = replace(wanted, **{name: getattr(running, name) for name in later})
    Clients(proxies=settings.proxies, forwarded=settings.client_header)
    return Fresh(settings, blocked_by(settings), trust(settings.ca_file), Landing(settings), later)


def blocked_by(settings: MailroomSettings) -> Blocklist:
    """Read the networks that the settings refuse; raises `ConfigurationError`."""
    own = settings.block_file
    return Blocklist.read(*settings.blocklists, *((own,) if own.exists() else ()))
