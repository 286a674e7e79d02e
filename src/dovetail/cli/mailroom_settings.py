"""The `[mailroom]` table of the configuration: how a mailroom of one's own is run."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from dovetail.cli.config import File, Found, Key, look_up_table, readers
from dovetail.cli.option_types import HIGHEST_PORT
from dovetail.mailroom import MailroomSettings
from dovetail.mailroom.machine import SCALED
from dovetail.mailroom.settings import MAY_BE_NONE

TABLE = "mailroom"
LISTEN = ("127.0.0.1", 8080)

_MOST = 2**53
_LONGEST = 3650 * 86_400.0
_BY_TYPE: Mapping[Any, Callable[[str, Any], Any]] = {
    bool: readers.truth,
    float: readers.duration(0.001, _LONGEST),
    int: readers.whole(1, _MOST),
    int | None: readers.whole(1, _MOST),
    str | None: readers.text,
    Path | None: readers.file,
    Path: readers.folder,
}
_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "listen": readers.place,
    "max_bytes": readers.size,
    "metrics": readers.local_place,
    "public_url": readers.url,
    "blocklists": readers.several(readers.file, parted=True),
    **dict.fromkeys(MAY_BE_NONE, readers.duration(0, _LONGEST)),
    "proxies": readers.several(readers.network, parted=True),
    "tunnel_ports": readers.several(readers.whole(1, HIGHEST_PORT), parted=True),
}
_UNSET = {
    "data_dir": "`mailroom` in the data directory",
    "listen": "127.0.0.1:8080",
    "ca_file": "what this system trusts",
    "client_header": "none",
    "metrics": "nowhere",
    "public_url": "none",
    "contact": "none, which the page says",
    "policy": "none, which the page says",
    "tls_cert": "none: plain HTTP, behind a proxy with a certificate",
    "tls_key": "none",
    "max_bytes": "half of the free disk at the start",
    "max_new_mailboxes": "what fills the space in a day",
    "max_new_mailboxes_per_client": "an eighth of that",
}
"""What holds where a key without a value of its own is not set."""

_EXAMPLES: Mapping[str, Any] = {
    "data_dir": "/var/lib/dovetail-mailroom",
    "ca_file": "~/gateways.pem",
    "client_header": "x-forwarded-for",
    "contact": "operator@example.org",
    "policy": "https://example.org/mailroom-policy",
    "tls_cert": "/etc/dovetail/mailroom.pem",
    "tls_key": "/etc/dovetail/mailroom.key",
    "max_bytes": "20G",
    "blocklists": ["/etc/dovetail/blocked.txt"],
    "metrics": "127.0.0.1:9100",
    "public_url": "https://mailroom.example",
}
_WORDS = {
    "listen": "Where the mailroom listens, as host:port.",
    "data_dir": "The folder of mailboxes and OHTTP keys; made if it is missing.",
    "directory": "Keep mailboxes, behind an OHTTP gateway.",
    "relay": "Forward requests to the gateways of others.",
    "local": "For tests on one machine: the relay also reaches private addresses, plain http and"
    " its own gateway. This gives users no privacy.",
    "v1": "Let BIP 78 senders post in plaintext and wait for a receiver that is online.",
    "ca_file": "PEM certificates that the relay trusts instead of the system's.",
    "proxies": "Addresses or networks of your own proxies, which do not count as clients.",
    "client_header": "The header in which such a proxy writes the client's address last. Set it"
    " only if your proxy writes that header itself.",
    "proxy_protocol": "Your own proxies begin each connection with a header of the PROXY protocol,"
    " version 2, which tells the client's address.",
    "public_url": "Where others reach the directory, an https origin. `dovetail mailroom check`"
    " looks there.",
    "blocklists": "Files of networks that are refused, one a line, beside those that `dovetail"
    " mailroom block` keeps.",
    "ttl": "How long a message is kept. It must exceed how long sessions last.",
    "longest_session": "The longest time to the expiration of a session, for which OHTTP keys are"
    " honoured beside `ttl`.",
    "key_lifetime": "How long an OHTTP key is published before the next one replaces it.",
    "wait": "How long a poll of an empty mailbox waits, and a BIP 78 sender for its proposal.",
    "read_timeout": "How long a client may take to send a request, and to read the answer.",
    "forward_timeout": "How long the relay waits for a gateway: more than its long polls take.",
    "tunnel_timeout": "How long a tunnel lives.",
    "drain_timeout": "How long running requests may take once the mailroom stops.",
    "drain_delay": "How long the mailroom goes on after it was told to stop, while `/health/ready`"
    " says 503, so that a proxy finds another one.",
    "housekeeping": "The time between two purges of expired messages.",
    "metrics": "Where Prometheus asks for metrics, as host:port, or a port of this machine alone."
    " Keep it to your own network.",
    "json_log": "Write the log as JSON, a line for each entry.",
    "heartbeat": "The time between two lines of the log that say that the mailroom runs; 0s for"
    " none.",
    "max_bytes": "Bytes of disk for messages, about 8 KiB each: a number, or a size such as 20G.",
    "max_new_mailboxes": "New mailboxes in an hour. The last fifth of the space is always given out"
    " more slowly.",
    "max_new_mailboxes_per_client": "The same for one client's network, usually a relay's.",
    "max_connections": "Connections at once, and requests in flight at once.",
    "max_connections_per_client": "The same for one client's network.",
    "keep_alive": "How long a connection is kept between two requests.",
    "max_writes": "Messages that wait to be written.",
    "max_waits": "Long polls at once.",
    "max_waits_per_client": "The same for one client's network, usually a relay's.",
    "max_waits_per_mailbox": "Long polls of one mailbox at once.",
    "max_v1_waits": "BIP 78 senders that wait at once.",
    "max_v1_waits_per_client": "The same for one client's network.",
    "max_forwards": "Requests at gateways at once; to one gateway at most half.",
    "max_forwards_per_client": "The same for one client's network.",
    "max_forwards_per_minute": "Requests that one client's network may have forwarded in a minute.",
    "max_lookups": "Gateways that are asked at once whether they opted in.",
    "max_lookups_per_client": "The same for one client's network.",
    "max_tunnels": "Tunnels at once.",
    "max_tunnels_per_client": "The same for one client's network.",
    "contact": "How visitors reach you: an e-mail address, or a URI with https, mailto or tel. It"
    " is on the page at `/` and in `/.well-known/security.txt`.",
    "policy": "What you promise to those who use the mailroom, or an https address where that is"
    " written; for the page at `/`.",
    "tls_cert": "PEM certificates of the mailroom's own port, its own first.",
    "tls_key": "The PEM key of that certificate, without a password.",
    "tunnel_ports": "The ports of gateways to which tunnels may lead; with `local` any port.",
}


def _key(name: str, words: str) -> Key:
    field = _FIELDS.get(name)
    default = LISTEN if field is None else _default(field)
    read = _READERS.get(name) or _BY_TYPE[None if field is None else field.type]
    return Key(
        name,
        read,
        default,
        _UNSET.get(name) or _default_words(name, default),
        words,
        _EXAMPLES.get(name),
        TABLE,
    )


def _default(field: "Field[Any]") -> Any:
    return None if field.default is MISSING else field.default


def _default_words(name: str, default: Any) -> str:
    match default:
        case bool():
            words = str(default).lower()
        case int():
            words = f"{default:,}"
        case float():
            words = readers.span(default)
        case _:
            words = ", ".join(map(str, default)) or "none"
    return f"{words}; fewer on a small machine" if name in SCALED else words


_FIELDS = {each.name: each for each in fields(MailroomSettings)}
KEYS: Mapping[str, Key] = {name: _key(name, words) for name, words in _WORDS.items()}


def look_up(
    written: File, given: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Found]:
    """What the command line, variables and the table of the file set, by key.

    Raises `ConfigurationError`, which names the setting and where it was read.
    """
    return look_up_table(TABLE, KEYS, written, given, environment)
