"""Every parser of Bitcoin's bytes and texts is total, and inverse to its serializer."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail.bitcoin.base58 import decode_base58check, encode_base58check
from dovetail.bitcoin.bech32 import decode_base32, decode_segwit, encode_base32
from dovetail.bitcoin.encoding import read_compact_size
from dovetail.bitcoin.script import Address, Network, Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import FeeRate, Sats, Weight
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import (
    InvalidAddress,
    InvalidAmount,
    InvalidTransaction,
    InvalidUri,
    ParseError,
)

pytestmark = pytest.mark.property

many = settings(max_examples=500, deadline=None, derandomize=True, database=None)

ADDRESSES = [
    "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i",
    "2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
    "BCRT1PFEESNYR2TX",
]
URI = f"bitcoin:{ADDRESSES[2]}?amount=0.5&label=a%20b&pjos=0&pj=HTTPS://EXAMPLE.COM/A%23EX1"
TRANSACTION = Transaction(
    2,
    (
        TxIn(OutPoint(Txid(bytes(32)), 1), b"\x51", 0, (b"ab", b"")),
        TxIn(OutPoint(Txid(bytes(32)), 2)),
    ),
    (TxOut(Sats(1000), Script(b"\x51")), TxOut(Sats(2000), Script(bytes(300)))),
    17,
).serialize()

BYTE_PARSERS: list[tuple[Callable[[bytes], object], type[ParseError]]] = [
    (Transaction.parse, InvalidTransaction),
    (Transaction.parse_prefix, InvalidTransaction),
    (Transaction.parse_without_witness, InvalidTransaction),
    (Txid, InvalidTransaction),
    (read_compact_size, ParseError),
]
TEXT_PARSERS: list[tuple[Callable[[str], object], type[ParseError]]] = [
    (Address.parse, InvalidAddress),
    (decode_base58check, InvalidAddress),
    (decode_segwit, InvalidAddress),
    (decode_base32, ParseError),
    (BitcoinUri.parse, InvalidUri),
    (Sats.from_btc, InvalidAmount),
    (FeeRate.from_sat_per_vb, InvalidAmount),
    (Txid.from_hex, InvalidTransaction),
    (OutPoint.parse, InvalidTransaction),
]

mutations = st.lists(
    st.tuples(st.integers(0, 700), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=4
)
texts = st.one_of(
    st.text(max_size=100),
    st.text(alphabet="0123456789.eE+-_ ", max_size=70),
    st.text(alphabet="bctr1qpzryQPZ02", max_size=95),
    st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80).map(
        "bitcoin:?".__add__
    ),
)


def mutated(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, removed, added in changes:
        start = place % (len(data) + 1)
        data = data[:start] + added + data[start + removed :]
    return data


@many
@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_the_parsers_own_error(data):
    for parse, error in BYTE_PARSERS:
        with suppress(error):
            parse(data)


@many
@given(texts)
def test_any_text_gives_a_value_or_the_parsers_own_error(text):
    for parse, error in TEXT_PARSERS:
        with suppress(error):
            parse(text)


@many
@given(mutations)
def test_a_changed_transaction_is_refused_or_written_as_it_was_read(changes):
    data = mutated(TRANSACTION, changes)
    with suppress(InvalidTransaction):
        assert Transaction.parse(data).serialize() == data
    with suppress(InvalidTransaction):
        assert Transaction.parse_without_witness(data).serialize() == data
    with suppress(InvalidTransaction):
        transaction, end = Transaction.parse_prefix(data)
        assert transaction.serialize() == data[:end]


@many
@given(st.sampled_from(ADDRESSES), st.integers(0, 100), st.characters(codec="ascii"))
def test_an_address_with_one_wrong_character_is_refused(text, place, character):
    start = place % len(text)
    changed = text[:start] + character + text[start + 1 :]
    if changed != text:
        with pytest.raises(InvalidAddress):
            Address.parse(changed)


@many
@given(mutations)
def test_a_changed_uri_is_refused_or_means_the_same_when_written_again(changes):
    text = mutated(URI.encode(), changes).decode("latin-1")
    with suppress(InvalidUri):
        uri = BitcoinUri.parse(text)
        assert BitcoinUri.parse(uri.serialize()) == uri


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: name.lower() not in {"amount", "label", "message", "pop", "req-pop", "bc", "tb"}
)
values = st.text(st.characters(codec="utf-8"), max_size=20)


@many
@given(
    st.sampled_from(ADDRESSES),
    st.none() | st.integers(0, 2_100_000_000_000_000).map(Sats),
    st.none() | values,
    st.none() | values,
    st.lists(st.tuples(names, values), max_size=4),
)
def test_any_uri_is_read_as_it_was_written(address, amount, label, message, params):
    uri = BitcoinUri(Address.parse(address), amount, label, message, tuple(params))
    assert BitcoinUri.parse(uri.serialize()) == uri


@many
@given(st.binary(max_size=60))
def test_base58_and_base32_read_what_they_write(data):
    assert decode_base58check(encode_base58check(data)) == data
    assert decode_base32(encode_base32(data)) == data


@many
@given(st.integers(0, 2_100_000_000_000_000))
def test_amounts_read_what_they_write(value):
    assert Sats.from_btc(Sats(value).to_btc()) == value


@many
@given(st.integers(0, 10_000_000), st.integers(1, 4_000_000))
def test_a_rate_measured_from_a_fee_never_asks_for_more_than_it(fee, weight):
    rate = FeeRate.of(Sats(fee), Weight(weight))
    assert rate.fee(Weight(weight)) <= fee
    assert FeeRate.from_sat_per_vb(rate.sat_per_vb) == rate


@many
@given(st.binary(max_size=50), st.sampled_from(Network))
def test_a_script_with_an_address_is_the_script_of_that_address(data, network):
    with suppress(InvalidAddress):
        address = Address.from_script(data, network)
        assert Address.parse(str(address)) == address
        assert address.is_for(network)
        assert address.script_pubkey == data
