"""The keys of the configuration: what each is called, may be, is by default, and means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dovetail.cli.config import readers
from dovetail.cli.options import NETWORKS

PREFIX = "DOVETAIL_"

TABLES = ("mailroom", "merchant")
"""The tables of the file; the commands of these names read them."""

SHORTEST, LONGEST = 60, 30 * 86_400
"""How long a Payjoin URI may be good for, in seconds."""

LOCAL_CHAIN = "http://127.0.0.1:3002"
LOCAL_MAILROOM = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked; durations in seconds, fee rates as decimal text in sat/vB."""

    data_dir: Path
    network: str | None
    wallet: str
    chain: str | None
    chain_certificate: Path | None
    chain_pace: float | None
    directory: tuple[str, ...]
    relays: tuple[str, ...]
    direct: bool
    tor: str | None
    fee_target: int
    min_fee_rate: str
    max_fee_rate: str
    unconfirmed_inputs: bool
    relay_fee_rate: str | None
    depth: int
    grace: int
    lifetime: int
    at_expiry: str
    watch_interval: float
    passphrase_file: Path | None
    passphrase_keyring: bool
    core_url: str | None
    core_wallet: str | None
    core_cookie: Path | None
    core_user: str | None
    core_password: str | None = field(repr=False)
    mailroom: Mapping[str, Any]
    """The table of that name, unread: what a mailroom of one's own is limited to."""
    merchant: Mapping[str, Any]
    """The table of that name, unread: what a shop's server uses."""
    file: Path = field(compare=False)
    """The configuration file, be it missing."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file: how its value is read, what it is by default, what it means."""

    name: str
    read: Callable[[str, Any], Any]
    default: Any
    default_words: str
    words: str
    example: Any = None
    """What a file to begin with shows for a key without a default."""
    table: str = ""
    """The table of the file in which it stands; none for the top."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{variables_of(self.table)}{self.name.upper()}"

    @property
    def full_name(self) -> str:
        """The key with its table, as errors name it."""
        return f"{self.table}.{self.name}" if self.table else self.name


def variables_of(table: str) -> str:
    """How the variables of a table's keys begin."""
    return f"{PREFIX}{table.upper()}_" if table else PREFIX


KEYS = (
    Key(
        "data_dir",
        readers.folder,
        None,
        "the platform's data directory",
        "The folder of wallet and sessions, with one folder per network.",
        "~/dovetail",
    ),
    Key(
        "network",
        readers.choice(*NETWORKS),
        None,
        "the network of the only wallet there is",
        "mainnet, testnet (testnet4), signet or regtest. A new wallet needs one by name.",
        "signet",
    ),
    Key(
        "wallet",
        readers.choice("bdk", "core"),
        "bdk",
        "bdk",
        "The kind of wallet: `bdk` for one of Dovetail's own, `core` for one of a Bitcoin Core"
        " node, which is then also the chain source.",
    ),
    Key(
        "chain",
        readers.server,
        None,
        f"{LOCAL_CHAIN} on regtest, else none",
        "The server to ask about the chain: http:// or https:// for Esplora, ssl://host:port for"
        " Electrum (tcp:// on this machine or to an onion address). It sees your addresses: use"
        ' your own or one you trust. With wallet = "core" Dovetail asks the node.',
        "ssl://your.server:50002",
    ),
    Key(
        "chain_certificate",
        readers.file,
        None,
        "what this system trusts",
        "The PEM file of the certificate that an ssl:// `chain` must show, for a server that signs"
        " its own.",
        "~/chain.pem",
    ),
    Key(
        "chain_pace",
        readers.duration(0, 3600),
        None,
        "1m; 0s on regtest",
        "The time between two looks at the mempool of a public `chain`; 1m means at most 120"
        " requests an hour. 0s asks at each `watch_interval`, for a server of your own.",
        "1m",
    ),
    Key(
        "directory",
        readers.urls,
        (),
        f"{LOCAL_MAILROOM} on regtest, else none",
        "The directory where a receiver has its mailbox, or a list of them: the next is used if"
        " the keys of one cannot be fetched.",
        "https://your.directory",
    ),
    Key(
        "relays",
        readers.urls,
        (),
        f"{LOCAL_MAILROOM} on regtest, else none",
        "OHTTP relays, which keep your IP address from the directory. One of the directory's"
        " own operator (of the same registrable domain) is never used. In a variable,"
        " separate them by commas.",
        ["https://your.relay"],
    ),
    Key(
        "direct",
        readers.truth,
        False,
        "false",
        "Allow going without a relay, if none is set or all are the directory's own; the directory"
        " then sees your IP address.",
    ),
    Key(
        "tor",
        readers.socks_proxy,
        None,
        "none",
        "The SOCKS5 proxy of Tor, such as socks5://127.0.0.1:9050, for onion addresses alone.",
        "socks5://127.0.0.1:9050",
    ),
    Key(
        "fee_target",
        readers.whole(1, 1008),
        6,
        "6",
        "The number of blocks within which a payment should confirm, if no fee rate is given.",
    ),
    Key(
        "min_fee_rate",
        readers.rate,
        "1",
        "1",
        "sat/vB: a receiver refuses an Original PSBT that pays less.",
    ),
    Key(
        "max_fee_rate",
        readers.rate,
        "50",
        "50",
        "sat/vB: the most a receiver pays for what it adds to a payjoin.",
    ),
    Key(
        "unconfirmed_inputs",
        readers.truth,
        False,
        "false",
        "Let a receiver take an Original PSBT that spends unconfirmed coins; their makers can"
        " replace them, and the payment is gone with them.",
    ),
    Key(
        "relay_fee_rate",
        readers.rate,
        None,
        "what the chain source says; 0.1 over Esplora, which cannot",
        "sat/vB: the least that nodes relay.",
        "0.1",
    ),
    Key(
        "depth",
        readers.whole(1, 144),
        1,
        "1",
        "The number of confirmations that make a payment final.",
    ),
    Key(
        "grace",
        readers.seconds(0, 7 * 86_400),
        600,
        "10m",
        "The time after the expiration in which a sender can still broadcast a payjoin, before the"
        " receiver broadcasts the ordinary payment. If no payment came, the receiver still looks"
        " for one in this time.",
    ),
    Key(
        "lifetime",
        readers.seconds(SHORTEST, LONGEST),
        86_400,
        "24h",
        "How long a Payjoin URI is good for.",
    ),
    Key(
        "at_expiry",
        readers.choice("broadcast", "ask"),
        "broadcast",
        "broadcast",
        "Whether to broadcast the ordinary payment when the payjoin did not happen, or to ask.",
    ),
    Key(
        "watch_interval",
        readers.duration(0.1, 3600),
        15.0,
        "15s",
        "The time between two looks at the chain.",
    ),
    Key(
        "passphrase_file",
        readers.file,
        None,
        "none: it is asked for on the terminal",
        "The file whose first line is the wallet's passphrase, for commands that sign where nobody"
        " can type it. Anyone who can read this file and the wallet's can spend.",
        "~/passphrase",
    ),
    Key(
        "passphrase_keyring",
        readers.truth,
        False,
        "false",
        "Take the wallet's passphrase from the system's keyring, where `dovetail wallet keyring`"
        " has put it.",
    ),
    Key(
        "core_url",
        readers.url,
        None,
        "the usual port of the network on this machine",
        'With `wallet = "core"`: where the node answers RPC requests. Without a path; over plain'
        " http only on this machine or through a tunnel, because the login is sent too.",
        "http://127.0.0.1:8332",
    ),
    Key(
        "core_wallet",
        readers.wallet_name,
        None,
        "none",
        'The name of the wallet, which the node must have loaded; "" is its wallet without a name.',
        "payments",
    ),
    Key(
        "core_cookie",
        readers.folder,
        None,
        "the .cookie in Bitcoin Core's usual data directory",
        "The file in which a running node keeps a login for this machine's users.",
        "~/.bitcoin/.cookie",
    ),
    Key(
        "core_user",
        readers.text,
        None,
        "none: the cookie is used",
        "The user of the node's `rpcauth`, in place of the cookie.",
        "dovetail",
    ),
    Key(
        "core_password",
        readers.text,
        None,
        "none",
        "That user's password. It is never shown.",
        "...",
    ),
)
