"""Passwords that are guessed first: known words, rows of keys, repetitions, and numbers after them.

Lists of leaked passwords have few of 12 characters, and nearly all of those are made like this.
"""

import re

_WORDS = (
    "password",
    "passwort",
    "passphrase",
    "letmein",
    "welcome",
    "willkommen",
    "iloveyou",
    "changeme",
    "administrator",
    "admin",
    "root",
    "user",
    "login",
    "secret",
    "geheim",
    "master",
    "dragon",
    "monkey",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "batman",
    "shadow",
    "michael",
    "jordan",
    "hunter",
    "trustno",
    "starwars",
    "whatever",
    "hallo",
    "hello",
    "test",
    "bitcoin",
    "satoshi",
    "nakamoto",
    "payjoin",
    "dovetail",
    "merchant",
    "hodl",
    "moon",
    "shop",
    "wallet",
)
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "1234567890123",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb",
)
_LIKE = str.maketrans("@4031!$5", "aaoeiiss")
_LEAST_RUN = 4
"""Keys side by side that count as a row."""

_LEAST_KINDS = 5
"""Different characters of a password; fewer are a repetition."""

_LEAST_OWN = 5
"""Letters of a password that are its user's own."""


def is_common(password: str, *names: str) -> bool:
    """Whether a password is one of those that are tried first; `names` are the user's own."""
    text = password.casefold()
    if len(set(text)) < _LEAST_KINDS:
        return True
    plain = "".join(each for each in text if each.isalnum() or each in "@!$")
    words = (*_WORDS, *(each for name in names for each in name.casefold().split()))
    known = "|".join(re.escape(each) for each in sorted(words, key=len, reverse=True) if each)
    own = min((_own(each, known) for each in (plain, plain.translate(_LIKE))), key=len)
    if own == plain:
        return False
    return len("".join(each for each in own if each.isalpha())) < _LEAST_OWN


def _own(text: str, known: str) -> str:
    """What is left of a text without words and rows."""
    return re.sub(known, "", _RUNS.sub("", text))


def _runs() -> str:
    """Each part of a row with its least length, forwards and backwards; the longest first."""
    both = [row[::step] for row in _ROWS for step in (1, -1)]
    found = {
        row[start:end]
        for row in both
        for start in range(len(row))
        for end in range(start + _LEAST_RUN, len(row) + 1)
    }
    return "|".join(sorted(found, key=lambda each: (-len(each), each)))


_RUNS = re.compile(_runs())
