"""The PSBT codec is total and preserves bytes, and agrees with rust-bitcoin (bdkpython).

BIP 174, BIP 371. Where the two parsers disagree, the reason is one of those listed here.
"""

import base64
import contextlib
import json
import random
from pathlib import Path

import bdkpython
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bitcoin.psbt_builders import serialize

from dovetail.bitcoin.encoding import compact_size
from dovetail.bitcoin.psbt import Psbt
from dovetail.errors import InvalidPsbt

pytestmark = pytest.mark.property

VECTORS = [
    json.loads((Path(__file__).parents[1] / "vectors" / name).read_text())
    for name in ("bip174.json", "bip371.json")
]
PUBLISHED = [
    bytes.fromhex(case["psbt"])
    for vectors in VECTORS
    for kind in ("valid", "invalid", "refused_by_signers")
    for case in vectors.get(kind, ())
]
ROLES = {role: bytes.fromhex(data) for role, data in VECTORS[0]["roles"].items()}
SEEDS = PUBLISHED + [data for role, data in ROLES.items() if role != "extractor"]

# A generator point's x coordinate: keys must lie on the curve for rust-bitcoin.
X_ONLY = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")

OURS_IS_STRICTER = {
    "goes on after its end": "rust-bitcoin ignores what follows the last map",
    "not the one its input spends": "rust-bitcoin compares previous transactions when signing only",
    "more than 21 million": "rust-bitcoin takes any amount of 64 bits",
    "input field 0x01": "a witness UTXO of more than 21 million bitcoins, as above",
    "global field 0x01": "rust-bitcoin lets an xpub's depth differ from its path's length",
    "field 0xfd": "a cut key type: rust-bitcoin takes the first byte for the whole type",
    "field 0xfe": "the same",
    "field 0xff": "the same",
    "global field 0x02": "fields of PSBT version 2 (BIP 370) are unknown to rust-bitcoin",
    "global field 0x03": "the same",
    "global field 0x04": "the same",
    "global field 0x05": "the same",
    "global field 0x06": "the same",
    "input field 0x0e": "the same",
    "input field 0x0f": "the same",
    "input field 0x10": "the same",
    "input field 0x11": "the same",
    "input field 0x12": "the same",
    "output field 0x03": "the same",
    "output field 0x04": "the same",
}
THEIRS_IS_STRICTER = {
    "public key": "rust-bitcoin wants keys on the curve; ours wants size and prefix",
    "xpub key error": "the same, and known version bytes",
    "invalid ECDSA signature": "rust-bitcoin reads the numbers in the DER sequence",
    "non-standard sighash type": "a signature's sighash type is judged when it is used",
    "invalid control block": "rust-bitcoin wants its key on the curve and a known leaf version",
    "invalid leaf version": "ours wants even ones in trees and leaves the rest to the signer",
}


def parse_ours(data):
    """The PSBT, or why not."""
    try:
        return Psbt.parse(data)
    except InvalidPsbt as error:
        return f"{error} {error.__cause__}"


def parse_theirs(data):
    try:
        return bdkpython.Psbt(base64.b64encode(data).decode())
    except bdkpython.PsbtParseError as error:
        return repr(error)


def contents(psbt):
    """All fields, less what rust-bitcoin rewrites.

    It omits version 0, swaps siblings in a Taproot tree and mends signatures with a lax encoding.
    """
    maps = [dict(each.map.entries) for each in (psbt.global_map, *psbt.inputs, *psbt.outputs)]
    maps[0].pop(b"\xfb", None)
    inputs, outputs = maps[1 : 1 + len(psbt.inputs)], maps[1 + len(psbt.inputs) :]
    for each in inputs:
        each.update({key: b"" for key in each if key.startswith(b"\x02")})
    for each in outputs:
        each[b"\x06"] = bytes(sorted(each.get(b"\x06", b"")))
    return maps


def check_agreement(data):
    """Both take it with the same contents, both refuse it, or the difference is a known one."""
    ours, theirs = parse_ours(data), parse_theirs(data)
    match isinstance(ours, str), isinstance(theirs, str):
        case True, False:
            assert any(reason in ours for reason in OURS_IS_STRICTER), ours
        case False, True:
            assert any(reason in theirs for reason in THEIRS_IS_STRICTER), theirs
        case False, False:
            assert contents(Psbt.from_base64(theirs.serialize())) == contents(ours)
            return True
    return False


def mutate(rng, data):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0:
                changed[place : place + 1] = rng.randbytes(1)
            case 1 if changed:
                changed[place % len(changed)] ^= 1 << rng.randrange(8)
            case 2:
                del changed[place : place + rng.choice((1, 2, 33))]
            case _:
                changed[place:place] = rng.randbytes(rng.choice((1, 2)))
    return bytes(changed)


def splice(rng):
    """The head of one PSBT and the tail of another."""
    first, second = rng.choice(SEEDS), rng.choice(SEEDS)
    return first[: rng.randrange(len(first))] + second[rng.randrange(len(second)) :]


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"psbt\xff", serialize()[:-2]]))
def test_any_bytes_are_a_psbt_or_an_error(data, prefix):
    with contextlib.suppress(InvalidPsbt):
        psbt, used = Psbt.parse_prefix(prefix + data)
        assert psbt.serialize() == (prefix + data)[:used]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(max_size=100), st.sampled_from(["", "cHNidP8B"]))
def test_any_text_is_a_psbt_or_an_error(text, prefix):
    with contextlib.suppress(InvalidPsbt):
        assert Psbt.from_base64(prefix + text).to_base64() == prefix + text


def test_changed_bytes_are_an_error_or_come_back_as_they_are():
    rng = random.Random(174)
    accepted = 0
    for _ in range(6000):
        data = mutate(rng, rng.choice(SEEDS))
        psbt = parse_ours(data)
        if isinstance(psbt, Psbt):
            accepted += 1
            assert psbt.serialize() == data
            total = 0
            with contextlib.suppress(InvalidPsbt):
                total = psbt.fee
            assert total >= 0
            for role in (psbt.finalize, psbt.extract):
                with contextlib.suppress(InvalidPsbt):
                    role()
    assert accepted > 500


def test_rust_bitcoin_agrees_on_the_published_psbts():
    assert sum(check_agreement(data) for data in SEEDS) == 30


def test_rust_bitcoin_agrees_on_changed_psbts():
    rng = random.Random(371)
    assert sum(check_agreement(mutate(rng, rng.choice(SEEDS))) for _ in range(10_000)) > 1000
    for _ in range(1000):
        check_agreement(splice(rng))


def sized(minimum, maximum):
    return st.binary(min_size=minimum, max_size=maximum)


PATHS = st.lists(sized(4, 4), min_size=1, max_size=5).map(b"".join)
LEAF_HASHES = st.lists(sized(32, 32), max_size=3).map(lambda h: compact_size(len(h)) + b"".join(h))
TAP_ORIGINS = st.builds(bytes.__add__, LEAF_HASHES, PATHS)
WITNESSES = st.lists(sized(0, 300), max_size=4).map(
    lambda items: (
        compact_size(len(items)) + b"".join(compact_size(len(item)) + item for item in items)
    )
)
SCRIPTS = sized(0, 300)
LEAF_SCRIPTS = SCRIPTS.map(lambda script: script + b"\xc0")
TXOUTS = SCRIPTS.map(lambda s: (77).to_bytes(8, "little") + compact_size(len(s)) + s)


def field(key, values):
    return st.tuples(key if isinstance(key, st.SearchStrategy) else st.just(key), values)


FOREIGN = [
    field(sized(0, 300).map(lambda data: b"\x77" + data), SCRIPTS),
    field(sized(0, 300).map(lambda data: b"\xfc\x03abc\x01" + data), SCRIPTS),
]
GLOBAL = [field(b"\xfb", st.just(bytes(4))), *FOREIGN]
INPUT = [
    field(b"\x01", TXOUTS),
    field(b"\x03", sized(4, 4)),
    field(b"\x04", SCRIPTS),
    field(b"\x05", SCRIPTS),
    field(b"\x06\x02" + X_ONLY, PATHS),
    field(b"\x06\x03" + X_ONLY, PATHS),
    field(b"\x07", SCRIPTS),
    field(b"\x08", WITNESSES),
    field(b"\x13", sized(64, 64)),
    field(sized(32, 32).map(lambda leaf: b"\x14" + X_ONLY + leaf), sized(64, 64)),
    field(
        sized(32, 32).map(lambda leaf: b"\x15\xc0" + X_ONLY + leaf),
        SCRIPTS.map(lambda s: s + b"\xc0"),
    ),
    field(b"\x16" + X_ONLY, TAP_ORIGINS),
    field(b"\x17", st.just(X_ONLY)),
    field(b"\x18", sized(32, 32)),
    *FOREIGN,
]
OUTPUT = [
    field(b"\x00", SCRIPTS),
    field(b"\x01", SCRIPTS),
    field(b"\x02\x02" + X_ONLY, PATHS),
    field(b"\x05", st.just(X_ONLY)),
    field(b"\x07" + X_ONLY, TAP_ORIGINS),
    *FOREIGN,
]


def entries(fields):
    return st.lists(st.one_of(fields), max_size=6, unique_by=lambda entry: entry[0])


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(entries(GLOBAL), entries(INPUT), entries(OUTPUT))
def test_rust_bitcoin_agrees_on_psbts_with_all_kinds_of_fields(first, second, third):
    data = serialize(first, second, third)
    psbt = Psbt.parse(data)
    assert psbt.serialize() == data
    assert check_agreement(data)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(entries(INPUT), entries(INPUT))
def test_combining_does_not_depend_on_the_order_unless_values_conflict(one, other):
    mine = Psbt.parse(serialize(input_entries=one))
    theirs = Psbt.parse(serialize(input_entries=[e for e in other if e[0] not in dict(one)]))
    combined = mine.combine(theirs)
    assert combined == theirs.combine(mine)
    assert combined.combine(mine) == combined
    assert Psbt.parse(combined.serialize()) == combined


def test_rust_bitcoin_finalizes_and_extracts_the_same():
    ours, theirs = Psbt.parse(ROLES["combiner"]), parse_theirs(ROLES["combiner"])
    finalized = theirs.finalize()
    assert finalized.could_finalize
    assert Psbt.from_base64(finalized.psbt.serialize()) == ours.finalize()
    assert finalized.psbt.extract_tx_unchecked_fee_rate().serialize() == ROLES["extractor"]
    assert theirs.fee() == ours.fee
