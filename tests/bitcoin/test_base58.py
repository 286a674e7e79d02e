import pytest

from dovetail.bitcoin.base58 import decode_base58check, encode_base58check
from dovetail.errors import InvalidAddress

# Bitcoin Core, src/test/data/key_io_valid.json: an address and its version and hash.
ADDRESS = "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i"
PAYLOAD = bytes.fromhex("0065a16059864a2fdbc7c99a4723a8395bc6f188eb")


def test_base58check_writes_and_reads_a_published_address():
    assert encode_base58check(PAYLOAD) == ADDRESS
    assert decode_base58check(ADDRESS) == PAYLOAD


def test_leading_zeros_become_ones():
    text = encode_base58check(bytes(3) + b"\1")
    assert text.startswith("111")
    assert not text.startswith("1111")
    assert decode_base58check(text) == bytes(3) + b"\1"


def test_an_empty_payload_is_read_back():
    assert decode_base58check(encode_base58check(b"")) == b""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        ADDRESS + "1",
        "1" + ADDRESS,
        ADDRESS.replace("A", "B"),
        ADDRESS.replace("A", "0"),
        ADDRESS.replace("A", "l"),
        f" {ADDRESS}",
        "\N{FULLWIDTH DIGIT ONE}" + ADDRESS[1:],
        "1" * 1000,
    ],
)
def test_text_with_a_foreign_character_or_a_wrong_checksum_is_refused(text):
    with pytest.raises(InvalidAddress):
        decode_base58check(text)
