"""RFC 5869, appendix A, test cases 1 to 3."""

import pytest

from dovetail.crypto.hkdf import expand, extract

CASES = [
    (
        b"\x0b" * 22,
        bytes(range(0x0D)),
        bytes(range(0xF0, 0xFA)),
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    (
        b"\x0b" * 22,
        b"",
        b"",
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("key_material", "salt", "info", "key", "output"), CASES)
def test_the_rfcs_vectors(
    key_material: bytes, salt: bytes, info: bytes, key: str, output: str
) -> None:
    assert extract(salt, key_material).hex() == key
    assert expand(bytes.fromhex(key), info, len(output) // 2).hex() == output


def test_a_shorter_output_is_the_start_of_a_longer_one() -> None:
    long = expand(b"key", b"info", 8160)
    assert len(long) == 8160
    assert expand(b"key", b"info", 12) == long[:12]
    assert expand(b"key", b"info", 0) == b""
