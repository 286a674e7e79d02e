"""ElligatorSwift against the vectors published with BIP 324.

bip324_ellswift_decode.csv and bip324_xswiftec_inv.csv are the BIP's ellswift_decode_test_vectors
and xswiftec_inv_test_vectors, unchanged.
"""

import csv
from pathlib import Path

import pytest

from dovetail.crypto import ellswift_decode

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


DECODE = rows("bip324_ellswift_decode.csv")
INVERSE = rows("bip324_xswiftec_inv.csv")


def test_no_vector_is_missing() -> None:
    assert len(DECODE) == 76
    assert len(INVERSE) == 32


@pytest.mark.parametrize("row", DECODE, ids=lambda row: row["comment"])
def test_an_encoding_decodes_to_the_published_x(row: dict[str, str]) -> None:
    encoding = bytes.fromhex(row["ellswift"])
    point = ellswift_decode(encoding)
    assert point.uncompressed[1:33].hex() == row["x"]
    # BIP 324 works on x alone; libsecp256k1 gives y the parity of t modulo the field's prime.
    t = int.from_bytes(encoding[32:]) % (2**256 - 2**32 - 977)
    assert point.uncompressed[64] & 1 == t & 1


@pytest.mark.parametrize("row", INVERSE, ids=lambda row: row["u"][:16])
def test_every_inverse_decodes_to_the_x_it_is_an_inverse_of(row: dict[str, str]) -> None:
    inverses = [row[f"case{case}_t"] for case in range(8) if row[f"case{case}_t"]]
    assert all(
        ellswift_decode(bytes.fromhex(row["u"] + t)).uncompressed[1:33].hex() == row["x"]
        for t in inverses
    )
    # Each t is a different encoding of the same x: the choice that makes encodings look uniform.
    assert len(set(inverses)) == len(inverses)
