"""One invoice in other spellings, and what a wallet says that is asked to pay it again."""

from collections.abc import Callable
from dataclasses import replace

from tests.properties.histories.ledger import require

from dovetail.bitcoin import Psbt, UnixTime
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import DuplicateSession, UsageError
from dovetail.protocol import PayjoinUri, SenderParams, V1Endpoint
from dovetail.sessions import sender
from dovetail.stores.memory import MemoryStore

SHOP = "https://shop.example/pay?id=1"
_HOST = "HTTPS://DIRECTORY.EXAMPLE"

Spell = Callable[[str], str]
SPELLINGS: dict[str, Spell] = {
    "as it was": lambda uri: uri,
    "scheme in capitals": lambda uri: uri.replace("bitcoin:", "BITCOIN:", 1),
    "address in capitals": lambda uri: uri.replace(
        address := uri.partition(":")[2].partition("?")[0], address.upper(), 1
    ),
    "host in another case": lambda uri: uri.replace(_HOST, _HOST.lower()).replace(
        "shop.example", "SHOP.example"
    ),
    "with its port": lambda uri: uri.replace(_HOST, f"{_HOST}:443").replace(
        "shop.example", "shop.example:443"
    ),
    "scheme of the endpoint in capitals": lambda uri: uri.replace("https:", "HTTPS:"),
    "host with its dot": lambda uri: uri.replace("shop.example", "shop.example."),
    "path in escapes": lambda uri: uri.replace("/pay", "/%2570ay"),
    "amount with zeros": lambda uri: uri.replace("amount=0.0005", "amount=0.00050000"),
    "with a label": lambda uri: uri.replace("?amount", "?label=again&amount"),
}
"""The same invoice: its user's word for another address is no excuse."""
ELSEWHERE = ("another endpoint", "another query")
"""The same address, to be reached elsewhere: a second payment needs an explicit word."""
WAYS = (*SPELLINGS, *ELSEWHERE)


def spelled(uri: PayjoinUri, way: str) -> PayjoinUri:
    """The invoice as it is asked for again."""
    if way in SPELLINGS:
        return PayjoinUri.parse(SPELLINGS[way](uri.serialize()))
    endpoint = uri.endpoint
    if isinstance(endpoint, V1Endpoint):
        other = "&r=2" if way == "another query" else "/2"
        return replace(uri, endpoint=V1Endpoint(endpoint.url + other))
    key = SecretKey(b"\x23" * 32).public_key
    return replace(uri, endpoint=replace(endpoint, receiver_key=key))


def refused(
    store: MemoryStore, uri: PayjoinUri, payment: tuple[Psbt, SenderParams], *, now: UnixTime
) -> bool | None:
    """Whether the store refuses a payment of `uri`; None where it is too late for any."""
    original, params = payment
    try:
        created = sender.create(uri=uri, original=original, params=params, now=now)
    except UsageError:
        return None
    try:
        created.save(store.new_sender(alone=True))
    except DuplicateSession:
        return True
    return False


def require_refused(*, refusal: bool | None, over: bool, way: str) -> None:
    """Hold what the store said against what became of the first payment (M4)."""
    if refusal is not None:
        allowed = over and way in ELSEWHERE
        require("again", refusal or allowed, f"an invoice was paid again, {way}")
