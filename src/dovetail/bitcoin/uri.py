"""Bitcoin URIs (BIP 21, BIP 321)."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote_to_bytes

from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidAddress, InvalidAmount, InvalidUri, UsageError

_URI = re.compile(r"bitcoin:([!-~]*)", re.ASCII | re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What RFC 3986 allows in a query and BIP 321 in a value, but for `+`, which some read as a space,
# and `'`, which ends an attribute in HTML.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._~!$()*,;:@/?-]+", re.ASCII)
_OWN_KEYS = ("amount", "label", "message")
_SEGWIT_KEYS = ("bc", "tb", "bcrt")
_REQUIRED_PREFIX = "req-"


@dataclass(frozen=True, slots=True, repr=False)
class BitcoinUri:
    """A request for payment; its repr shows nothing of it (P4).

    Texts and values are decoded. `params` are the other parameters in order, their keys in the
    case they were written in; everything that looks for a key ignores its case. Without an
    address one of `params` must say how to pay. Raises `InvalidUri`.
    """

    address: Address | None
    amount: Sats | None = None
    label: str | None = None
    message: str | None = None
    params: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the parameters by BIP 321's rules on what may stand together."""
        keys = [_lower_ascii(key) for key, _ in self.params]
        if not all(keys) or not {*_OWN_KEYS}.isdisjoint(keys):
            raise InvalidUri("The URI repeats a parameter or has one without a name; get another.")
        if self.address is None and not keys:
            raise InvalidUri("The URI does not say whom to pay; ask for one with an address.")
        if len([key for key in keys if key.removeprefix(_REQUIRED_PREFIX) == "pop"]) > 1:
            raise InvalidUri("The URI asks twice for a proof of payment; ask for another one.")
        texts = (self.label, self.message, *(text for param in self.params for text in param))
        if not all(_is_unicode(text) for text in texts if text is not None):
            raise InvalidUri("A text for the URI has half a surrogate pair; write it anew.")
        for key, (_, value) in zip(keys, self.params, strict=True):
            if key in _SEGWIT_KEYS and not _lower_ascii(value).startswith(f"{key}1"):
                raise InvalidUri("The URI names a network and an address of another; do not pay.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI.

        Scheme, keys and segwit addresses may be in any case. Blanks around the text, `//` after
        the scheme and `/` after the address are ignored. Raises `InvalidUri` for characters that
        must be percent-encoded, a body that is not an address, an amount that is not a plain
        number of bitcoins, and a repeated `amount`, `label`, `message` or `pop`.
        """
        text = text.strip()
        found = _URI.fullmatch(text)
        if found is None or "#" in text:
            raise InvalidUri(_describe_error(text))
        body, _, query = found[1].removeprefix("//").partition("?")
        body = body.removesuffix("/")
        own: dict[str, str] = {}
        params: list[tuple[str, str]] = []
        for part in filter(None, query.split("&")):
            key, _, value = part.partition("=")
            key, value = _decoded(key), _decoded(value)
            if _lower_ascii(key) in _OWN_KEYS and _lower_ascii(key) not in own:
                own[_lower_ascii(key)] = value
            else:
                params.append((key, value))
        try:
            address = Address.parse(body) if body else None
            amount = Sats.from_btc(own["amount"]) if "amount" in own else None
        except InvalidAddress as problem:
            raise InvalidUri(f"The URI's address cannot be used. {problem}") from problem
        except InvalidAmount as problem:
            raise InvalidUri(
                "The URI's amount is no plain number of bitcoins, from 0 to 21 million with at most"
                " 8 decimals; ask for another one."
            ) from problem
        return cls(address, amount, own.get("label"), own.get("message"), tuple(params))

    def serialize(self) -> str:
        """Write the URI: amount, label, message, then the other parameters in their order."""
        amount = None if self.amount is None else self.amount.to_btc()
        own = zip(_OWN_KEYS, (amount, self.label, self.message), strict=True)
        params = [(key, value) for key, value in own if value is not None]
        query = "&".join(f"{_encoded(k)}={_encoded(v)}" for k, v in (*params, *self.params))
        body = "" if self.address is None else str(self.address)
        return f"bitcoin:{body}?{query}" if query else f"bitcoin:{body}"

    def get(self, name: str) -> str | None:
        """The value of the first of the other parameters with this name, in any case."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[str, ...]:
        """The values of all other parameters with this name, in any case, in order."""
        return tuple(value for key, value in self.params if _lower_ascii(key) == _lower_ascii(name))

    @property
    def unknown_required(self) -> tuple[str, ...]:
        """The lower-case names of the `req-` parameters; this module understands none of them.

        A payer that does not understand one of them must not pay (BIP 321).
        """
        keys = (_lower_ascii(key) for key, _ in self.params)
        return tuple(key for key in keys if key.startswith(_REQUIRED_PREFIX))

    def payee(self, network: Network) -> Address:
        """The address to pay; `req-pj` may be there, as payjoin is not required to pay it.

        Raises `UsageError` where there is none, for another network, and for a feature that the
        URI requires and nobody here knows (BIP 321).
        """
        if self.address is None:
            raise UsageError("The URI has no address that could be paid; ask for another one.")
        require_network(self.address, network)
        if self.requires_unknown:
            raise UsageError(UNKNOWN_FEATURE)
        return self.address

    @property
    def requires_unknown(self) -> bool:
        """Whether the URI requires a feature other than payjoin: nobody here may pay it."""
        return not {"req-pj"}.issuperset(self.unknown_required)

    def __repr__(self) -> str:
        return "<BitcoinUri>"


UNKNOWN_FEATURE = "The URI requires a feature that Dovetail does not know; ask for another one."


def require_network(address: Address, network: Network) -> None:
    """Raise `UsageError` unless `address` can be paid on `network`."""
    if not address.is_for(network):
        raise UsageError(
            f"The address is not for {network}, the network of this wallet: ask the receiver for"
            " one that is, or pay from a wallet on the other network."
        )


def amount_due(asked: Sats | None, given: Sats | None) -> Sats:
    """What is paid where a URI asks for `asked` and the payer says `given`.

    Raises `UsageError` where they differ, where neither is there, and for 0 sats.
    """
    if asked == 0:
        raise UsageError("The URI asks for 0 sats: ask the receiver for another one.")
    if None not in (asked, given) and asked != given:
        raise UsageError(f"The URI already asks for {asked:,} sats: remove `amount`.")
    due = asked or given
    if not due:
        raise UsageError("The URI names no amount: give the `amount` to pay, in satoshis.")
    return due


def _lower_ascii(text: str) -> str:
    """Lower-case ASCII only, so that no other letter turns into one of a known key."""
    return text.lower() if text.isascii() else text


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _decoded(text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise InvalidUri("The URI has a broken percent-encoding; copy it again.")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as problem:
        raise InvalidUri("The URI has text that is not UTF-8; copy it again.") from problem


def _encoded(text: str) -> str:
    return _NOT_PLAIN.sub(lambda found: quote(found[0], safe=""), text)


def _describe_error(text: str) -> str:
    if not text.lower().startswith("bitcoin:"):
        return "The text does not begin with bitcoin: and is no payment URI; copy all of it."
    if "#" in text:
        return "The URI has a # where it needs %23, so that a part may be lost; copy it again."
    return "The text is not a bitcoin: URI in plain characters; copy it again."
