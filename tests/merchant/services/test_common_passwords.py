"""Which passwords are guessed first."""

import pytest

from dovetail.merchant.services.common_passwords import is_common


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "Password12345!",
        "p@ssw0rd-2026",
        "123456789012",
        "098765432109",
        "qwertyuiop123",
        "1q2w3e4r5t6y",
        "asdfghjkl-asdfghjkl",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "bitcoin-satoshi-1",
        "Administrator1",
        "welcome-welcome-1",
        "ada-lovelace-1815",
    ],
)
def test_words_rows_and_repetitions_are_common(password: str) -> None:
    assert is_common(password, "Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "another long password",
        "483920174625",
        "ねこは屋根の上で寝ている",
        "Dr0p-table:users;--",
        "admin of the old harbour",
        "Zq8!vT2#mK9$",
    ],
)
def test_others_are_not(password: str) -> None:
    assert not is_common(password, "Ada Lovelace")
