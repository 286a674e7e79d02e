"""Bitcoin's bytes and texts: `dovetail.bitcoin`."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tests.fuzz.choices import Choices
from tests.fuzz.meddling import framed
from tests.fuzz.target import Target, parsed, require, rereads, same
from tests.protocol import builders
from tests.protocol.examples import BIP77_URI, ORIGINAL, PROPOSAL

from dovetail.bitcoin import Address, BitcoinUri, Network, OutPoint, Psbt, Script, Transaction, Txid
from dovetail.bitcoin.base58 import decode_base58check, encode_base58check
from dovetail.bitcoin.bech32 import decode_base32, decode_segwit, encode_base32
from dovetail.bitcoin.encoding import compact_size, read_compact_size
from dovetail.bitcoin.hashes import hash160, hash256
from dovetail.bitcoin.psbt.non_witness_utxo import Previous
from dovetail.bitcoin.units import MAX_SATS, FeeRate, Sats
from dovetail.errors import (
    InvalidAddress,
    InvalidAmount,
    InvalidPsbt,
    InvalidTransaction,
    InvalidUri,
)

ADDRESSES = (
    "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i",
    "2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
    "BCRT1PFEESNYR2TX",
)


def originals() -> tuple[Psbt, ...]:
    """An Original of each kind of input, and one of several inputs."""
    single = (builders.original((100_000, kind)) for kind in builders.ALL_KINDS)
    mixed = builders.original((60_000, builders.P2WPKH), (40_000, builders.P2TR))
    return (*single, mixed, Psbt.from_base64(ORIGINAL), Psbt.from_base64(PROPOSAL))


def transaction(data: bytes) -> None:
    for parse, witness in ((Transaction.parse, True), (Transaction.parse_without_witness, False)):
        found = parsed(parse, data, error=InvalidTransaction)
        if found is None:
            continue
        require(found.serialize() == data, "a transaction is written as it was read")
        bare = found.serialize(witness=False)
        require(found.txid == hash256(bare), "the id is the hash of what it covers")
        require(found.weight == 3 * len(bare) + len(data), "the weight is BIP 141's")
        require(sum(map(int, (o.value for o in found.outputs))) <= MAX_SATS, "money has a limit")
        require(len(set(found.contested())) == len(found.inputs), "nothing is spent twice")
        if witness:
            glance = Previous(data)
            same = (glance.txid, glance.outputs) == (found.txid, len(found.outputs))
            require(same, "a glance sees what the parser reads")
            again = Transaction(found.version, found.inputs, found.outputs, found.lock_time)
            require(again.serialize() == data, "values are written as the bytes they are from")
    refused = parsed(Transaction.parse, data, error=InvalidTransaction) is None
    glanced = parsed(Previous, data, error=InvalidTransaction) is None
    require(refused == glanced, "a glance accepts what the parser accepts")
    prefix = parsed(Transaction.parse_prefix, data, error=InvalidTransaction)
    if prefix is not None:
        require(prefix[0].serialize() == data[: prefix[1]], "a prefix is written as it was read")
    number = parsed(read_compact_size, data)
    if number is not None:
        require(compact_size(number[0]) == data[: number[1]], "sizes have one form")


def transactions() -> Iterable[bytes]:
    for each in originals():
        yield each.unsigned_transaction.serialize()
        if each.is_finalized:
            yield each.extract().serialize()


def psbt(data: bytes) -> None:
    prefix = parsed(Psbt.parse_prefix, data, error=InvalidPsbt)
    whole = parsed(Psbt.parse, data, error=InvalidPsbt)
    fits = prefix is not None and prefix[1] == len(data)
    require((whole is not None) == fits, "a PSBT is what its prefix says")
    if prefix is None:
        return
    found, used = prefix
    require(found.serialize() == data[:used], "a PSBT is written as it was read")
    text = found.to_base64()
    require(Psbt.from_base64(text) == found, "base64 reads as it was written")
    _play_roles(found)


def _play_roles(found: Psbt) -> None:
    """What the roles of BIP 174 do with it ends in a PSBT that can be read, or in a refusal."""
    repr(found)
    for each in found.inputs:
        repr((each.partial_signatures, each.bip32_derivations, each.tap_bip32_derivations))
        _ = each.witness_utxo, each.non_witness_utxo, each.final_script_witness
        stripped = each.without_signing_data()
        require(type(each)(stripped.map) == stripped, "what is left of an input is valid")
    for index in range(len(found.inputs)):
        with suppress(InvalidPsbt):
            found.utxo(index)
    for results in ("fee", "finalize", "extract"):
        with suppress(InvalidPsbt):
            value = getattr(found, results)
            made = value() if callable(value) else value
            if isinstance(made, Psbt):
                require(Psbt.parse(made.serialize()) == made, "a finalized PSBT can be read")
                require(made.is_finalized or not made.inputs, "finalized means final")
                made.extract()
            elif isinstance(made, Transaction) and made.outputs:
                require(Transaction.parse(made.serialize()) == made, "it can be broadcast")
    both = found.combine(found)
    require(both.combine(found).serialize() == both.serialize(), "combining twice changes nothing")


def psbts() -> Iterable[bytes]:
    for each in originals():
        yield each.serialize()
    honest = builders.build_proposal(builders.original(), builders.params(680), builders.coin())
    yield honest.serialize()
    for kind in builders.ALL_KINDS:
        unsigned = builders.original((100_000, kind)).unsigned_transaction
        yield Psbt.from_unsigned(unsigned).serialize()


def address(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = parsed(Address.parse, text, error=InvalidAddress)
    if found is not None:
        require(Address.parse(str(found)) == found, "an address is read as it was written")
        network = min(found.networks)
        made = Address.from_script(found.script_pubkey, network)
        require(made.script_pubkey == found.script_pubkey, "an address stands for its script")
        require(made.is_for(network), "an address is for its network")
    payload = parsed(decode_base58check, text, error=InvalidAddress)
    if payload is not None:
        require(encode_base58check(payload) == text, "base 58 has one form")
    parsed(decode_segwit, text, error=InvalidAddress)
    raw = parsed(decode_base32, text[:200])
    if raw is not None:
        require(encode_base32(raw) == text[:200].lower(), "base 32 has one form")
    for network in Network:
        made_of = parsed(Address.from_script, data, network, error=InvalidAddress)
        if made_of is not None:
            require(made_of.script_pubkey == data, "an address is of the script it was made of")


def script(data: bytes) -> None:
    found = Script(data)
    _ = found.type, found.is_witness_program, found.dust_limit
    multisig = found.multisig
    if multisig is not None:
        required, keys = multisig
        require(1 <= required <= len(keys) <= 20, "a multisig asks for some of its keys")
        require(all(key in data for key in keys), "its keys stand in it")


def units(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    amount = parsed(Sats.from_btc, text, error=InvalidAmount)
    if amount is not None:
        require(Sats.from_btc(amount.to_btc()) == amount, "amounts read as they are written")
    rate = parsed(FeeRate.from_sat_per_vb, text, error=InvalidAmount)
    if rate is not None:
        shown = format(rate.sat_per_vb, "f")
        require(FeeRate.from_sat_per_vb(shown) == rate, "rates read as they are written")
    parsed(Txid.from_hex, text, error=InvalidTransaction)
    outpoint = parsed(OutPoint.parse, text, error=InvalidTransaction)
    if outpoint is not None:
        require(OutPoint.parse(str(outpoint)) == outpoint, "outpoints read as they are written")
    with suppress(ValueError, OverflowError):
        parsed(FeeRate.from_sat_per_vb, float(text), error=InvalidAmount)


def rebuilt(data: bytes) -> None:
    """Fields of any bytes in a PSBT of the right frame: what byte by byte is seldom reached."""
    choices = Choices(data)
    base = choices.one_of(FRAMES)
    parts: tuple[Any, ...] = base.global_map, *base.inputs, *base.outputs
    maps = [list(each.map.entries) for each in parts]
    while choices.more:
        entries = choices.one_of(maps)
        key = bytes((choices.number(),)) + choices.some()
        entries.append((key, choices.some()))
    raw = b"psbt\xff" + b"".join(
        b"".join(framed(part) for entry in entries for part in entry) + b"\0" for entries in maps
    )
    psbt(raw)


FRAMES = tuple(Psbt.from_unsigned(each.unsigned_transaction) for each in originals()[:8])
FIELDS = tuple(
    bytes((frame, at))
    + bytes((key[0], len(key) - 1))
    + key[1:]
    + bytes((min(len(value), 255),))
    + value[:255]
    for frame, each in enumerate(originals()[:7])
    for at, psbt_input in enumerate(each.inputs, 1)
    for key, value in psbt_input.map.entries
)

URI = f"BITCOIN:{ADDRESSES[0]}?amount=0.5&label=a%20b&message=%C3%A9&x=&req-y=1"
PARAMETERS = b"amount=", b"label=", b"message=", b"req-", b"pop=", b"bc=", b"%00", b"&"
DATA = b"\x6a\x02ab", b"\x6a\x4c\x01a"
NUMBERS = b"0", b"1.5", b"20999999.9769", b"0.00000001", b".5", b"5.", b"1e8", b"nan"
OUTPOINTS = b"\x30" * 64 + b":0", b"ab" * 32 + b":4294967295"

TARGETS = (
    Target("transaction", transaction, transactions),
    Target("psbt", psbt, psbts),
    Target("psbt-fields", rebuilt, lambda: FIELDS),
    Target(
        "psbt-base64",
        rereads(
            Psbt.from_base64,
            Psbt.to_base64,
            InvalidPsbt,
            text="latin-1",
            also=same(Psbt.to_base64, "base64 has one form"),
        ),
        lambda: (ORIGINAL.encode(), PROPOSAL.encode()),
    ),
    Target(
        "address",
        address,
        lambda: (
            *(text.encode() for text in ADDRESSES),
            *builders.ALL_KINDS,
            encode_base58check(b"\x00" + hash160(b"")).encode(),
        ),
        (b"bc1", b"tb1", b"bcrt1", b"1", b"q", b"p"),
        256,
    ),
    Target("script", script, lambda: (*builders.ALL_KINDS, builders.MULTISIG, *DATA), longest=1024),
    Target("units", units, lambda: NUMBERS + OUTPOINTS, (b"e", b".", b"nan", b"inf", b"0x"), 128),
    Target(
        "bitcoin-uri",
        rereads(BitcoinUri.parse, BitcoinUri.serialize, InvalidUri, text="utf-8"),
        lambda: map(str.encode, (BIP77_URI, URI, f"bitcoin:?bc={ADDRESSES[2]}&pop=a%3A")),
        (b"bitcoin:", *PARAMETERS),
        1024,
    ),
)
