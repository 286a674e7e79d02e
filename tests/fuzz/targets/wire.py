"""The wire's bytes: `dovetail.crypto`, and what `dovetail.protocol` reads from it."""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from tests.fuzz.choices import Choices
from tests.fuzz.target import Target, parsed, require, rereads
from tests.protocol.examples import (
    BIP77_URI,
    ENDPOINT,
    GATEWAY,
    ORIGINAL,
    PROPOSAL,
    RECEIVER,
    REPLY,
    peer_message,
)

from dovetail.bitcoin.psbt import Psbt
from dovetail.crypto import (
    BhttpRequest,
    BhttpResponse,
    KeyConfig,
    PublicKey,
    SecretKey,
    SeededEntropy,
    decapsulate,
    ellswift_decode,
    encapsulate,
    setup_base_receiver,
)
from dovetail.crypto.hpke import setup_auth_sender, setup_base_sender
from dovetail.crypto.secp256k1 import ellswift_encode
from dovetail.errors import (
    DecryptionError,
    DovetailError,
    InvalidBhttp,
    InvalidKey,
    InvalidMessage,
    InvalidOhttp,
    InvalidUri,
    TransportError,
)
from dovetail.protocol import ErrorCode, ErrorReply, SenderParams
from dovetail.protocol.mailbox import (
    PROPOSAL_CAPACITY,
    ShortId,
    decode_original,
    open_message_a,
    open_message_b,
)
from dovetail.protocol.requests import poll_mailbox, read_v1_request, v1_reply
from dovetail.protocol.uri import PayjoinUri, parse_directory, parse_endpoint

REQUEST = encapsulate(GATEWAY.config, b"request", entropy=SeededEntropy(b"fuzz"))[0]
BHTTP_REQUEST = BhttpRequest("POST", "https", "a", "/m", (("name", "value"),), b"body").serialize()
BHTTP_RESPONSE = BhttpResponse(200, (("name", "value"),), b"body").serialize()
INDETERMINATE = (
    b"\x02\x04POST\x05https\x01a\x02/m\x04Name\x05value\x00\x02bo\x02dy\x00\x00",
    b"\x03\x40\x67\x04name\x05value\x00\x40\xc8\x04Name\x05value\x00\x02bo\x02dy\x00\x00",
)
INFORMATIONAL = b"\x01\x40\x64\x00" + BHTTP_RESPONSE[1:]
BHTTP_SEEDS = (BHTTP_REQUEST, BHTTP_RESPONSE, INFORMATIONAL, *INDETERMINATE)
QUERY = (
    b"v=2&disableoutputsubstitution=true&additionalfeeoutputindex=1"
    b"&maxadditionalfeecontribution=680&minfeerate=1.5"
)
QUERY_WORDS = (
    b"v=1",
    b"v=2",
    b"&",
    b"disableoutputsubstitution=",
    b"additionalfeeoutputindex=",
    b"maxadditionalfeecontribution=",
    b"minfeerate=",
    b"%2e",
    b"9999999999999999",
)
REPLY_WORDS = (
    b'{"errorCode":"',
    *(f'"{code}"'.encode() for code in ErrorCode),
    b'"supported":[',
    b'"message":',
    b"NaN",
    b"1e999",
    b"\\ud800",
)
_PUBLIC = RECEIVER.public_key


def keys(data: bytes) -> None:
    found = parsed(PublicKey.parse, data, error=InvalidKey)
    if found is not None:
        require(PublicKey.parse(found.compressed) == found, "a key reads as it was written")
        require(data in (found.compressed, found.uncompressed), "a key has two forms")
    parsed(SecretKey, data, error=InvalidKey)
    parsed(ellswift_decode, data, error=InvalidKey)


def _grows_not(found: BhttpRequest | BhttpResponse, data: bytes) -> None:
    require(len(found.body) <= len(data), "nothing grows")


def bhttp(data: bytes) -> None:
    kinds: tuple[Any, ...] = BhttpRequest, BhttpResponse
    for kind in kinds:
        rereads(kind.parse, kind.serialize, InvalidBhttp, also=_grows_not)(data)


def ohttp_request(data: bytes) -> None:
    """What a gateway gets, and what it answers to a request that opens."""
    with suppress(InvalidOhttp, DecryptionError):
        message, context = decapsulate({7: GATEWAY}, data)
        bhttp(message)
        context.seal(b"answer")
    with suppress(DecryptionError):
        setup_base_receiver(_PUBLIC, RECEIVER, b"info").open(data)


def ohttp_response(data: bytes) -> None:
    """What a client gets, as it came and as the plaintext of a gateway that lies."""
    choices = Choices(data)
    request, context = poll_mailbox(
        relay=None,
        directory="https://payjo.in",
        short_id=ENDPOINT.short_id,
        ohttp_keys=GATEWAY.config,
        entropy=SeededEntropy(b"fuzz"),
    )
    if choices.below(4):
        _, reply = decapsulate(GATEWAY, request.body)
        body = reply.seal(choices.rest()[:8144].ljust(8144, b"\0"))
    else:
        body = choices.rest().ljust(8192, b"\0")
    opened = parsed(context.open, body, error=TransportError)
    if opened is not None:
        require(200 <= opened.status < 600, "a status is final")
        parsed(opened.message, error=TransportError)
        parsed(opened.confirm_posted, error=TransportError)


def payjoin_uri(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = parsed(PayjoinUri.parse, text, error=InvalidUri)
    if found is not None:
        require(PayjoinUri.parse(found.serialize()) == found, "a URI means what it meant")
        to = found.endpoint
        written = to.serialize() if hasattr(to, "serialize") else to.url
        require(parse_endpoint(written) == to, "an endpoint means what it meant")
    parsed(parse_endpoint, text, error=InvalidUri)
    origin = parsed(parse_directory, text, error=InvalidUri)
    if origin is not None:
        require(parse_directory(origin) == origin, "an origin stays as it is")


def _sealed(data: bytes, enc: PublicKey, context: Any) -> tuple[bytes, bytes]:
    """A message of any plaintext, and that."""
    plaintext = data[:PROPOSAL_CAPACITY].ljust(PROPOSAL_CAPACITY, b"\0")
    key = ellswift_encode(enc, entropy=SeededEntropy(b"fuzz"))
    return key + context.seal(plaintext), plaintext


def message_a(data: bytes) -> None:
    """Any plaintext a sender can seal; the reply key in it is theirs to choose, too."""
    made = setup_base_sender(_PUBLIC, b"PjV2MsgA", entropy=SeededEntropy(b"fuzz"))
    message, _ = _sealed(data, *made)
    opened = parsed(lambda: open_message_a(message, receiver_secret=RECEIVER), error=InvalidMessage)
    if opened is not None:
        original(opened.body)


def original(data: bytes) -> None:
    for version in (1, 2):
        decode = partial(decode_original, default_version=version)
        found = parsed(decode, data, error=InvalidMessage)
        if found is not None:
            _check_params(found[1])


def _check_params(params: SenderParams) -> None:
    again = SenderParams.parse(params.serialize(), default_version=2)
    require(again == params, "parameters read as they were written")


def message_b(data: bytes) -> None:
    """Any plaintext a receiver can seal."""
    entropy = SeededEntropy(b"fuzz")
    made = setup_auth_sender(REPLY.public_key, b"PjV2MsgB", RECEIVER, entropy=entropy)
    message, plaintext = _sealed(data, *made)
    opened = parsed(
        lambda: open_message_b(message, reply_secret=REPLY, receiver_key=_PUBLIC),
        error=InvalidMessage,
    )
    if isinstance(opened, Psbt):
        raw = opened.serialize()
        require(plaintext == raw.ljust(len(plaintext), b"\0"), "a proposal is all there is")


def mailbox(data: bytes) -> None:
    """Bytes that a stranger wrote into a mailbox."""
    message = data[:7168].ljust(7168, b"\0") if len(data) > 64 else data
    with suppress(InvalidMessage, DecryptionError):
        open_message_a(message, receiver_secret=RECEIVER)
    with suppress(InvalidMessage, DecryptionError):
        open_message_b(message, reply_secret=REPLY, receiver_key=_PUBLIC)
    name = parsed(ShortId.parse, data.decode("utf-8", "surrogateescape"), error=InvalidMessage)
    if name is not None:
        require(ShortId.parse(name.lower()) == name, "a mailbox has one name")


def params(data: bytes) -> None:
    for version in (1, 2):
        parse = partial(SenderParams.parse, default_version=version)
        found = parsed(parse, data.decode("utf-8", "replace"), error=InvalidMessage)
        if found is not None:
            _check_params(found)


def reply(data: bytes) -> None:
    found = parsed(ErrorReply.parse, data, error=InvalidMessage)
    if found is not None and found.code is not None:
        again = ErrorReply.parse(found.serialize())
        require(again == found, "a reply reads as it was written")
        require(len(found.supported) <= 16, "a list of versions has an end")


REPLIES = (
    *(ErrorReply(code).serialize() for code in ErrorCode),
    ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (1, 2)).serialize(),
    b'{"errorCode":"version-unsupported","supported":"[1, 2]"}',
    b'{"errorCode":"x","message":"\\u00e9"}',
)


def v1(data: bytes) -> None:
    """A v1 sender's request and a v1 receiver's answer."""
    choices = Choices(data)
    status = choices.one_of((200, 400, 422, 500, 503, 302))
    body, _, query = choices.rest().partition(b"\n")
    found = parsed(read_v1_request, body, query.decode("latin-1"), error=InvalidMessage)
    if found is not None:
        _check_params(found[1])
    with suppress(InvalidMessage, TransportError):
        answer = v1_reply(status, body)
        require(status == 200 or isinstance(answer, ErrorReply), "errors propose nothing")


def peers() -> Iterable[bytes]:
    """Messages rust-payjoin sealed for other keys of ours."""
    for name in ("message_a", "message_b"):
        with suppress(KeyError, DovetailError):
            yield peer_message(name)
    yield b"TXJCGKTKXLUUZ"


BARE = GATEWAY.config.serialize()
LISTED = len(BARE).to_bytes(2) + BARE
X25519 = b"\x00\x2d\x01\x00\x20" + bytes(32) + b"\x00\x08\x00\x01\x00\x01\x00\x01\x00\x03"
ELLSWIFT = ellswift_encode(_PUBLIC, entropy=SeededEntropy(b"fuzz"))
REPLY_KEY = REPLY.public_key.compressed
URIS = (
    BIP77_URI,
    BIP77_URI.replace("-", "+"),
    ENDPOINT.serialize(),
    f"bitcoin:{BIP77_URI[8:50]}?pj=https://a.example/pay%3Fid=1&pjos=0",
    "http://[::1]:80/",
)
URI_WORDS = b"&pj=", b"pjos=0", b"req-pj=", b"EX1", b"OH1", b"RK1", b"%23", b"HTTPS://", b".onion"
RESPONSES = (
    b"\1" + BHTTP_RESPONSE,
    b"\1" + INFORMATIONAL,
    b"\0" + bytes(40),
    b"\1" + BhttpResponse(202).serialize(),
)
ORIGINALS = REPLY_KEY + ORIGINAL.encode() + b"\n" + QUERY, REPLY_KEY + b"\n"
PROPOSALS = Psbt.from_base64(PROPOSAL).serialize(), *REPLIES
V1_MESSAGES = (
    b"\0" + ORIGINAL.encode() + b"\nv=1&minfeerate=2",
    b"\0" + PROPOSAL.encode(),
    *(bytes((at,)) + each for at, each in enumerate(REPLIES)),
)
KEYS = _PUBLIC.compressed, _PUBLIC.uncompressed, b"\x01" * 32, ELLSWIFT
key_config = rereads(
    KeyConfig.parse,
    KeyConfig.serialize,
    InvalidOhttp,
    also=lambda found, _: require(len(found.serialize()) == 74, "a configuration has 74 bytes"),
)

TARGETS = (
    Target("keys", keys, lambda: KEYS, longest=128),
    Target("key-config", key_config, lambda: (BARE, LISTED, X25519 + LISTED), longest=512),
    Target("bhttp", bhttp, lambda: BHTTP_SEEDS, longest=1024),
    Target("ohttp-request", ohttp_request, lambda: (REQUEST,), longest=512),
    Target("ohttp-response", ohttp_response, lambda: RESPONSES, longest=1024),
    Target("payjoin-uri", payjoin_uri, lambda: map(str.encode, URIS), URI_WORDS, 1024),
    Target("message-a", message_a, lambda: ORIGINALS, QUERY_WORDS, 2048),
    Target("message-b", message_b, lambda: PROPOSALS, REPLY_WORDS, 2048),
    Target("mailbox", mailbox, peers, longest=7168),
    Target("params", params, lambda: (QUERY,), QUERY_WORDS, 512),
    Target("reply", reply, lambda: REPLIES, REPLY_WORDS, 512),
    Target("v1", v1, lambda: V1_MESSAGES, (*QUERY_WORDS, *REPLY_WORDS), 2048),
)
