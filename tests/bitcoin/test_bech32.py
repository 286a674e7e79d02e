import pytest

from dovetail.bitcoin.bech32 import decode_base32, decode_segwit, encode_base32, encode_segwit
from dovetail.errors import InvalidAddress, InvalidUri, ParseError


def test_a_segwit_address_gives_prefix_version_and_program():
    # BIP 350, "Test vectors for v0-v16 native segregated witness addresses".
    assert decode_segwit("BC1SW50QGDZ25J") == ("bc", 16, b"\x75\x1e")
    assert encode_segwit("bc", 16, b"\x75\x1e") == "bc1sw50qgdz25j"


# BIP 350 and BIP 173, invalid strings: the prefix or the length is at fault.
@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "\N{LATIN SMALL LETTER LONG S}1qqqqqq",
        "\x801vctc34",
        "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
        "qyrz8wqd2c9m",
        "1qyrz8wqd2c9m",
        "y1b0jsk6g",
        "lt1igcx5c0",
        "in1muywd",
        "mm1crxm3i",
        "au1s5cgom",
        "M1VUXWEZ",
        "16plkw9",
        "1p2gdwpf",
        "x1b4n0q5v",
        "li1dgmt3",
        "de1lg7wt\xff",
        "A1G7SGD8",
        "10a06t8",
        "1qzzfhee",
    ],
)
def test_text_that_is_not_bech32_is_refused(text):
    with pytest.raises(InvalidAddress):
        decode_segwit(text)


# Facts from BIP 173's alphabet: q is 0, p is 1, l is 31.
@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), (b"\0", "qq"), (b"\xff", "lu"), (b"\x08\x42\x10\x84\x21", "pppppppp")],
)
def test_bare_base32_has_no_checksum_and_zero_bits_at_its_end(data, text):
    assert encode_base32(data) == text
    assert decode_base32(text) == data
    assert decode_base32(text.upper()) == data


@pytest.mark.parametrize("text", ["q", "qp", "qqq", "lU", "1", "\N{KELVIN SIGN}Q", "lu\n", "qb"])
def test_bare_base32_refuses_stray_bits_mixed_case_and_foreign_characters(text):
    with pytest.raises(InvalidUri):
        decode_base32(text, InvalidUri)


def test_bare_base32_raises_a_parse_error_unless_told_otherwise():
    with pytest.raises(ParseError):
        decode_base32("b")
