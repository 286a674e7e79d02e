"""The languages of the pages: which one a request asks for, its words and its numbers."""

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import as_file, files
from types import MappingProxyType

DOMAIN = "pages"
"""The name of the catalogues, which the dashboard's words are in, too."""
NAMES: Mapping[str, str] = MappingProxyType({"en": "English", "de": "Deutsch"})
"""The languages by code, the usual one first, each in its own word."""
USUAL = "en"
NARROW = "\N{NO-BREAK SPACE}"
"""Between a number and its unit."""

_MOST_RANGES = 20
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    code: str
    """As HTML's `lang` has it (BCP 47)."""
    translations: gettext.NullTranslations
    group: str
    """What stands between thousands."""
    point: str
    """What stands before the decimals."""
    date: str
    """How a day is written, of the time `at` and the short name of its `month`."""

    def say(self, words: str) -> str:
        """These words in the language."""
        return self.translations.gettext(words) if words else ""

    def number(self, value: int) -> str:
        """A whole number."""
        return f"{value:,}".replace(",", self.group)

    def decimal(self, text: str) -> str:
        """A decimal number as the messages write it; its decimals stay as they are."""
        whole, point, decimals = text.partition(".")
        return self.number(int(whole)) + (self.point + decimals if point else "")

    def sats(self, value: int) -> str:
        """An amount in satoshis, with its unit."""
        return f"{self.number(value)}{NARROW}sats"

    def day(self, seconds: int) -> str:
        """The day of a time, in UTC."""
        at = datetime.fromtimestamp(int(seconds), UTC)
        return self.date.format(at=at, month=_MONTHS[at.month - 1])

    def moment(self, seconds: int) -> str:
        """A time in UTC, to the minute."""
        at = datetime.fromtimestamp(int(seconds), UTC)
        return f"{self.day(seconds)}, {at:%H:%M}"


def phrase(words: str) -> str:
    """Mark words that are translated where they are shown."""
    return words


@cache
def language(code: str) -> Language:
    """A language by its code, which is one of `NAMES`."""
    if code == USUAL:
        return Language(code, gettext.NullTranslations(), ",", ".", "{at.day} {month} {at.year}")
    with as_file(files("dovetail.merchant.pages") / "locale") as folder:
        found = gettext.translation(DOMAIN, folder, [code])
    return Language(code, found, ".", ",", "{at:%d.%m.%Y}")


def language_of(wanted: str | None, accepted: str | None) -> Language:
    """The language of a request.

    `wanted` is what the page's address names, and `accepted` the browser's `Accept-Language`
    (RFC 9110, section 12.5.4). What nobody knows is ignored.
    """
    if wanted in NAMES:
        return language(wanted)
    return language(_accepted(accepted or ""))


def _accepted(header: str) -> str:
    """The known language with the highest weight, the first of several; else the usual one."""
    best, most = USUAL, 0.0
    for each in header.split(",")[:_MOST_RANGES]:
        tag, _, given = each.strip().partition(";")
        code = tag.strip().lower().partition("-")[0]
        weight = _weight(given)
        if (code in NAMES or code == "*") and weight > most:
            best, most = USUAL if code == "*" else code, weight
    return best


def _weight(given: str) -> float:
    name, _, value = given.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip().lower() == "q" and 0 <= weight <= 1 else 0.0
