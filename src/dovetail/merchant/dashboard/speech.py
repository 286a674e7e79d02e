"""The language of the dashboard, and sentences of other parts of the program in it."""

import re
from functools import cache
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast
from urllib.parse import parse_qsl

from litestar import Response
from markupsafe import Markup, escape

from dovetail.merchant.api.routes.common import ApiRequest
from dovetail.merchant.dashboard.access import PATH, is_secure
from dovetail.merchant.dashboard.sentences import OWN, PATTERNS
from dovetail.merchant.pages.language import NAMES, USUAL, Language, language_of
from dovetail.serving.asgi import Scope, header

FIELD = "lang"
"""The parameter of an address that chooses a language from then on."""
COOKIE = "dovetail-language"
KEPT = 365 * 86_400
"""Seconds for which a browser remembers the language that was chosen."""

_VALUE = re.compile(r"%\((\w+)\)s")
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+")
_BETWEEN = re.compile(r"(?<=[.?!]) (?=[A-Z0-9(])")
"""The blank between two sentences."""


def speech_of(scope: Scope) -> Language:
    """The language of a request: its address's, or the one chosen before, or the browser's."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    chosen = next((each for each in (query.get(FIELD), _kept(scope)) if each in NAMES), None)
    return language_of(chosen, _header(scope, b"accept-language"))


def speech_for(request: ApiRequest) -> Language:
    """The same of a request that a handler has."""
    return speech_of(cast("Scope", request.scope))


def remember(answer: Response[Any], request: ApiRequest) -> None:
    """Have the browser keep the language that the address names."""
    chosen = request.query_params.get(FIELD)
    if chosen in NAMES:
        answer.set_cookie(
            COOKIE,
            chosen,
            max_age=KEPT,
            path=PATH,
            secure=is_secure(request),
            httponly=True,
            samesite="lax",
        )


def told(text: str, speech: Language) -> Markup:
    """A sentence of another part, or several; what has no translation is marked as English."""
    found = said(text, speech)
    if found is not None:
        return escape(found)
    return Markup(" ").join(_one(each, speech) for each in _BETWEEN.split(text))


def said(text: str, speech: Language) -> str | None:
    """A sentence that may have values in it, in the language; None where it is not known."""
    if speech.code == USUAL or not text:
        return text
    found = speech.say(text)
    if found != text:
        return found
    for pattern, words in _patterns():
        match = pattern.fullmatch(text)
        if match is not None:
            values = {name: _value(each, speech) for name, each in match.groupdict().items()}
            return speech.say(words) % values
    return None


def _one(sentence: str, speech: Language) -> Markup:
    found = said(sentence, speech)
    if found is not None:
        return escape(found)
    return Markup('<span lang="{}">{}</span>').format(USUAL, sentence)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(_pattern(each), re.DOTALL), each) for each in (*PATTERNS, *OWN))


def _pattern(words: str) -> str:
    """What matches the sentence with any values; names and literal parts take turns."""
    parts = enumerate(_VALUE.split(words))
    return "".join(f"(?P<{each}>.+?)" if at % 2 else re.escape(each) for at, each in parts)


def _value(text: str, speech: Language) -> str:
    """A value as the language writes it."""
    return speech.number(int(text.replace(",", ""))) if _NUMBER.fullmatch(text) else text


def _kept(scope: Scope) -> str | None:
    try:
        found = SimpleCookie(_header(scope, b"cookie")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _header(scope: Scope, name: bytes) -> str:
    return (header(scope, name) or b"").decode("latin-1")
