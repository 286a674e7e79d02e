"""The language of a request, and numbers in it."""

import pytest

from dovetail.merchant.pages.language import NAMES, language, language_of


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-CH, en;q=0.9", "de"),
        ("DE-at", "de"),
        ("en;q=0.5, de;q=0.8", "de"),
        ("fr, de;q=0.3", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("de;q=0, en", "en"),
        ("de;q=0", "en"),
        ("de;q=high, en;q=0.1", "en"),
        ("de;q=nan", "en"),
        ("de;q=7", "en"),
        ("de;v=1", "en"),
        (";;;,=", "en"),
    ],
)
def test_the_browser_says_which_language_it_wants(header, code) -> None:
    assert language_of(None, header).code == code


def test_only_the_first_of_many_wishes_are_read() -> None:
    assert language_of(None, "fr," * 100 + "de").code == "en"


def test_the_address_of_the_page_has_the_last_say() -> None:
    assert language_of("de", "en").code == "de"
    assert language_of("en", "de").code == "en"
    assert language_of("../../x", "de").code == "de"


@pytest.mark.parametrize("code", NAMES)
def test_each_language_has_its_words(code) -> None:
    said = {"en": "Paid", "de": "Bezahlt"}
    assert language(code).say("Paid") == said[code]


def test_numbers_are_written_as_the_language_does() -> None:
    english, german = language("en"), language("de")
    assert (english.number(1_234_567), german.number(1_234_567)) == ("1,234,567", "1.234.567")
    assert (english.decimal("1234.50"), german.decimal("1234.50")) == ("1,234.50", "1.234,50")
    assert (english.decimal("7"), german.sats(1_000)) == ("7", "1.000\xa0sats")
