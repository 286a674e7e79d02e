"""Payjoin URIs and the endpoints in them.

BIP 77, Payjoin URI; BIP 78, BIP21 payjoin parameters.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from dovetail.actions import Action
from dovetail.bitcoin.bech32 import decode_base32, encode_base32
from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.bitcoin.uri import UNKNOWN_FEATURE, BitcoinUri, amount_due, require_network
from dovetail.crypto.ohttp import KeyConfig
from dovetail.crypto.secp256k1 import PublicKey
from dovetail.errors import InvalidKey, InvalidMessage, InvalidUri, UsageError
from dovetail.protocol.mailbox import ShortId

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.ASCII | re.IGNORECASE,
)
# Hosts for which plain http is allowed, because the traffic stays on the machine or in Tor.
_THIS_MACHINE = r"(?:.+\.)?localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]"
_PRIVATE_HOST = re.compile(rf"{_THIS_MACHINE}|.+\.onion", re.ASCII)
_LOCAL_ORIGIN = re.compile(rf"http://(?:{_THIS_MACHINE})(?::[0-9]+)?", re.ASCII)
_MAX_PORT = 0xFFFF
_MAX_EXPIRATION = 0xFFFF_FFFF
_FRAGMENT = re.compile(r"[0-9A-Z+-]*", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_UNRESERVED = re.compile("%(?:2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.ASCII)
_OLD_KEY = re.compile(r"A[g-z0-9_-][A-Za-z0-9_-]{42}", re.ASCII)
_DIRECTORIES = re.compile(r"https?://(?:.+\.)?payjo\.in(?::[0-9]+)?", re.ASCII)
"""Hosts that run only BIP 77 directories."""
_FRAGMENT_SIZES = {"EX1": 4, "OH1": 34, "RK1": 33}


class _Url(NamedTuple):
    origin: str
    path: str
    query: str
    fragment: str


@dataclass(frozen=True, slots=True, repr=False)
class V1Endpoint:
    """A v1 receiver's endpoint: an https URL, or http for Tor or this machine.

    Raises `InvalidUri`.
    """

    url: str

    def __post_init__(self) -> None:
        """Check the URL."""
        _parse_url(self.url)

    def __repr__(self) -> str:
        return "<V1Endpoint>"


@dataclass(frozen=True, slots=True, repr=False)
class V2Endpoint:
    """A receiver's mailbox on a directory, with the keys that a sender needs.

    `directory` may have any form that `parse_directory` accepts; it becomes the origin.
    `expires_at` is from 0 to 2**32 - 1. Raises `InvalidUri`.
    """

    directory: str
    receiver_key: PublicKey
    ohttp_keys: KeyConfig
    expires_at: UnixTime

    def __post_init__(self) -> None:
        """Normalise the directory; check the expiration."""
        object.__setattr__(self, "directory", checked_mailbox(self.directory, self.expires_at))

    @property
    def short_id(self) -> ShortId:
        """The name of the receiver's mailbox."""
        return ShortId.of(self.receiver_key)

    @property
    def mailbox_url(self) -> str:
        """The URL of the receiver's mailbox, without the fragment."""
        return f"{self.directory}/{self.short_id}"

    def serialize(self) -> str:
        """Write the `pj` URL with its fragment, all in upper case, so that a QR code is small."""
        expiration = self.expires_at.to_bytes(_FRAGMENT_SIZES["EX1"], "little")
        gateway = bytes([self.ohttp_keys.key_id]) + self.ohttp_keys.public_key.compressed
        values = (expiration, gateway, self.receiver_key.compressed)
        pairs = zip(_FRAGMENT_SIZES, values, strict=True)
        fragment = "-".join(key + encode_base32(value) for key, value in pairs)
        return f"{self.mailbox_url}#{fragment}".upper()

    def __repr__(self) -> str:
        return "<V2Endpoint>"


Endpoint = V1Endpoint | V2Endpoint


def is_on_this_machine(endpoint: Endpoint) -> bool:
    """Whether the endpoint is on the payer's own machine, without encryption."""
    named = endpoint.directory if isinstance(endpoint, V2Endpoint) else endpoint.url
    return _LOCAL_ORIGIN.fullmatch(_parse_url(named).origin) is not None


@dataclass(frozen=True, slots=True, repr=False)
class PayjoinUri:
    """A request for payment by payjoin; its repr shows nothing of it (P4).

    Without `output_substitution` (`pjos=0`) the receiver may not change its payment output. This
    is required if the receiver accepts v1 senders through a directory, which could change their
    messages.
    """

    address: Address
    amount: Sats | None
    endpoint: Endpoint
    output_substitution: bool = True
    label: str | None = None
    message: str | None = None

    @classmethod
    def parse(cls, text: str) -> "PayjoinUri":
        """Read a Bitcoin URI with `pj` or `req-pj`; other parameters are dropped.

        Raises `InvalidUri`; with `Action.PAY` where the address can be paid without a payjoin.
        """
        return _parse_uri(text)

    def check(self, *, network: Network, now: UnixTime, amount: Sats | None = None) -> Sats:
        """Return the amount to pay; `amount` is the payer's own.

        Raises `UsageError` for an address of another network, an endpoint on the payer's own
        machine on mainnet, a URI that has expired, and an amount that is missing or differs; with
        `Action.PAY` where the address can be paid without a payjoin.
        """
        require_network(self.address, network)
        if network is Network.MAINNET and is_on_this_machine(self.endpoint):
            raise UsageError(
                "The URI sends the payment to a server on your own machine, where no receiver is:"
                " ask for another one.",
                actions=(Action.PAY,),
            )
        if isinstance(self.endpoint, V2Endpoint) and self.endpoint.expires_at <= now:
            raise UsageError(
                "The Payjoin URI has expired: ask the receiver for a new one.",
                actions=(Action.PAY,),
            )
        return amount_due(self.amount, amount)

    def serialize(self) -> str:
        """Write the URI with `pj` last; share it with the payer only."""
        endpoint = self.endpoint
        url = endpoint.url if isinstance(endpoint, V1Endpoint) else endpoint.serialize()
        substitution = () if self.output_substitution else (("pjos", "0"),)
        params = (*substitution, ("pj", url))
        return BitcoinUri(self.address, self.amount, self.label, self.message, params).serialize()

    def __repr__(self) -> str:
        return "<PayjoinUri>"


@lru_cache(maxsize=128)
def _parse_uri(text: str) -> PayjoinUri:
    uri = BitcoinUri.parse(text)
    if uri.address is None:
        raise InvalidUri("The URI has no address, which payjoin needs; ask for another one.")
    if uri.requires_unknown:
        raise InvalidUri(UNKNOWN_FEATURE)
    try:
        endpoint, substitution = _offer(uri)
    except InvalidUri as error:
        error.actions = frozenset({Action.PAY})
        raise
    return PayjoinUri(uri.address, uri.amount, endpoint, substitution, uri.label, uri.message)


def _offer(uri: BitcoinUri) -> tuple[Endpoint, bool]:
    """The endpoint, and whether outputs may be substituted."""
    if uri.all("ohttp"):
        raise InvalidUri(OLDER_DRAFT)
    endpoint = _only(uri.all("pj") + uri.all("req-pj"))
    if endpoint is None:
        raise InvalidUri("The URI does not offer payjoin.")
    substitution = _only(uri.all("pjos"))
    if substitution not in (None, "0", "1"):
        raise InvalidUri("The URI's pjos is neither 0 nor 1; ask for another one.")
    return parse_endpoint(endpoint), substitution != "0"


def checked_mailbox(directory: str, expires_at: UnixTime) -> str:
    """Return the directory's origin; raises `InvalidUri`, also for the expiration."""
    if not 0 <= expires_at <= _MAX_EXPIRATION:
        raise InvalidUri("A session expires between 1970 and 2106; choose such a time.")
    return parse_directory(directory)


@lru_cache(maxsize=64)
def parse_directory(text: str) -> str:
    """Read a directory's URL into its origin: lower case, without path and trailing slash.

    It must be https, or http to Tor or this machine. Raises `InvalidUri`.
    """
    url = _parse_url(text)
    if url.path not in ("", "/") or "?" in text or "#" in text:
        raise InvalidUri("A directory's address must end after its host; remove the rest.")
    return url.origin


def parse_endpoint(text: str) -> Endpoint:
    """Read the value of `pj`.

    It is a mailbox if its path is a ShortId or its fragment has one of the parameters. Then all
    parts must be valid; otherwise an Original PSBT could be sent in plaintext although encryption
    was intended. Other signs of encryption, such as URIs of BIP 77's drafts, are refused. Raises
    `InvalidUri`.
    """
    url = _parse_url(text)
    keys = {part[:3] for part in re.split("[+-]", url.fragment.upper())}
    name = url.path.strip("/")
    if not keys.isdisjoint(_FRAGMENT_SIZES) or _is_short_id(name):
        return _parse_v2(url)
    if url.fragment or _is_of_older_draft(url, name):
        raise InvalidUri(OLDER_DRAFT)
    return V1Endpoint(text)


OLDER_DRAFT = "The URI is of an older draft of payjoin, or was not copied whole: ask for a new one."


def _is_of_older_draft(url: _Url, name: str) -> bool:
    """Whether a key or the host shows that encryption was intended (P4)."""
    asked = {part.partition("=")[0].lower() for part in url.query.split("&")}
    return "ohttp" in asked or _DIRECTORIES.fullmatch(url.origin) is not None or _is_key(name)


def _is_key(name: str) -> bool:
    """Whether a path is a public key: base64url as in the drafts, hex, or bech32's alphabet."""
    if len(name) == _HEX_KEY_SIZE and name[:2] in ("02", "03"):
        return _HEX.fullmatch(name) is not None
    if name.upper().startswith("RK1"):
        name = name[3:]
    if len(name) == _BASE32_KEY_SIZE:
        try:
            return decode_base32(name.upper(), InvalidUri)[0] in (2, 3)
        except InvalidUri:
            return False
    return _OLD_KEY.fullmatch(name.rstrip("=")) is not None


_HEX = re.compile("[0-9a-fA-F]*", re.ASCII)
_HEX_KEY_SIZE, _BASE32_KEY_SIZE = 66, 53


def normalised_url(text: str) -> str:
    """Return a normal form of a v1 endpoint's URL (RFC 3986, section 6.2).

    Scheme and host are in lower case. The default port, an empty query and any fragment are
    removed. An empty path is `/`, and needless percent-encodings are decoded. Raises `InvalidUri`.
    """
    url = _parse_url(text)
    scheme, _, place = url.origin.partition("://")
    host = place.removesuffix(f":{_DEFAULT_PORTS[scheme]}").rstrip(".")
    query = f"?{url.query}" if url.query else ""
    return f"{scheme}://{host}{_plain(url.path or '/')}{_plain(query)}"


def _plain(text: str) -> str:
    escaped = re.sub("%[0-9A-Fa-f]{2}", lambda found: found[0].upper(), text)
    return _UNRESERVED.sub(lambda found: chr(int(found[0][1:], 16)), escaped)


def _parse_v2(url: _Url) -> V2Endpoint:
    values = _fragment_values(url.fragment)
    if len(values) < len(_FRAGMENT_SIZES):
        raise InvalidUri("The URI lacks a payjoin parameter; copy all of it, to the end.")
    expiration, gateway, receiver = (values[key] for key in _FRAGMENT_SIZES)
    try:
        endpoint = V2Endpoint(
            directory=url.origin,
            receiver_key=PublicKey.parse(receiver),
            ohttp_keys=KeyConfig(gateway[0], PublicKey.parse(gateway[1:])),
            expires_at=UnixTime(int.from_bytes(expiration, "little")),
        )
    except InvalidKey as error:
        raise InvalidUri(
            "A key in the URI is not a valid payjoin key; ask for another one."
        ) from error
    if url.path.strip("/").upper() != endpoint.short_id:
        raise InvalidUri("The URI's mailbox does not match its key; ask for another one.")
    return endpoint


def _fragment_values(fragment: str) -> dict[str, bytes]:
    """Read the parameters in any order; unknown ones are ignored."""
    if not _FRAGMENT.fullmatch(fragment) or ("+" in fragment and "-" in fragment):
        raise InvalidUri("The payjoin parameters are misspelled; copy the URI again.")
    values: dict[str, bytes] = {}
    for part in re.split("[+-]", fragment):
        key, text = part[:3], part[3:]
        if key not in _FRAGMENT_SIZES:
            continue
        if key in values:
            raise InvalidUri("A payjoin parameter occurs twice; ask for another URI.")
        # Check before decoding, whose time grows with the square of the length.
        if len(text) != -(-_FRAGMENT_SIZES[key] * 8 // 5):
            raise InvalidUri("A payjoin parameter has a wrong length; copy the URI again.")
        values[key] = decode_base32(text, InvalidUri)
    return values


def _only(values: tuple[str, ...]) -> str | None:
    if len(values) > 1:
        raise InvalidUri("The URI has a payjoin parameter twice; ask for another one.")
    return next(iter(values), None)


def _parse_url(text: str) -> _Url:
    found = _URL.fullmatch(text) if text.isascii() and text.isprintable() else None
    if found is None or " " in text:
        raise InvalidUri("The payjoin address is not an http or https URL; ask for another one.")
    scheme, host, port = found["scheme"].lower(), found["host"].lower(), found["port"]
    if port is not None and int(port) > _MAX_PORT:
        raise InvalidUri("The payjoin address has no valid port; ask for another one.")
    if scheme == "http" and not _PRIVATE_HOST.fullmatch(host):
        raise InvalidUri("The payjoin address is not encrypted; ask for one that uses https.")
    origin = f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"
    return _Url(origin, found["path"] or "", found["query"] or "", found["fragment"] or "")


def _is_short_id(text: str) -> bool:
    try:
        ShortId.parse(text)
    except InvalidMessage:
        return False
    return True
