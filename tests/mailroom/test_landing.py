import base64
import hashlib
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import in_process, quick
from tests.support.clock import Clock

from dovetail.errors import ConfigurationError
from dovetail.mailroom import Mailroom, MailroomServer

MIDDAY = datetime(2027, 3, 1, 12, tzinfo=UTC)


class Reader(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words = ""
        self.style = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "style":
            self.style += data
        else:
            self.words += " ".join(data.split()) + " "


async def shown(folder: Path, **settings: Any) -> tuple[httpx.Response, Reader]:
    async with in_process(quick(folder, **settings)) as (_, client):
        answer = await client.http.get("/")
    return answer, Reader(answer.text)


async def test_the_page_says_what_this_is_and_where_the_keys_are(tmp_path: Path) -> None:
    answer, page = await shown(tmp_path, contact="me@example.org", policy="Kept for a week.")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")
    for words in ("directory", "relay", "me@example.org", "Kept for a week.", "kept for 7 days"):
        assert words in page.words
    assert re.search(r"Dovetail \d+\.\d+", page.words)
    assert "/.well-known/ohttp-gateway" in page.addresses
    assert "mailto:me@example.org" in page.addresses


async def test_who_has_set_neither_contact_nor_policy_says_so(tmp_path: Path) -> None:
    _, page = await shown(tmp_path)
    assert "The operator has named no contact." in page.words
    assert "The operator has written none." in page.words
    assert not [each for each in page.addresses if each.startswith(("mailto:", "tel:"))]


async def test_the_page_has_no_script_and_loads_nothing(tmp_path: Path) -> None:
    _, page = await shown(tmp_path, policy="https://example.org/policy")
    assert not {"script", "img", "iframe", "object", "form", "base", "video"} & set(page.tags)
    assert page.handlers == []
    assert set(page.addresses) == {
        *("data:,", "/.well-known/ohttp-gateway", "/health", "https://example.org/policy"),
        "https://github.com/bitcoin/bips/blob/master/bip-0077.md",
    }
    assert "@import" not in page.style
    assert "url(" not in page.style


async def test_its_headers_allow_its_own_style_and_nothing_else(tmp_path: Path) -> None:
    answer, page = await shown(tmp_path)
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"].split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


async def test_a_policy_is_text_whatever_it_holds(tmp_path: Path) -> None:
    _, page = await shown(tmp_path, policy='<script>alert(1)</script> & "quoted"')
    assert "script" not in page.tags
    assert '<script>alert(1)</script> & "quoted"' in page.words


@pytest.mark.parametrize("given", ['https://x.org/"><script>', "https://x.org/'onclick='y"])
async def test_an_address_cannot_leave_its_attribute(tmp_path: Path, given: str) -> None:
    _, page = await shown(tmp_path, contact=given, policy=given)
    assert page.addresses.count(given) == 2
    assert page.handlers == []
    assert "script" not in page.tags


@pytest.mark.parametrize(
    "given", ["javascript:alert(1)", "http://example.org", "me", "me at example.org", "data:,x"]
)
def test_a_contact_that_is_none_is_a_wrong_setting(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigurationError, match="`contact` must be an e-mail address"):
        MailroomServer(quick(tmp_path, contact=given))


async def test_a_relay_alone_names_no_keys_and_a_directory_alone_no_relay(tmp_path: Path) -> None:
    async with (
        Mailroom(quick(tmp_path / "a", directory=False)) as mailroom,
        httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url="http://x") as http,
    ):
        page = Reader((await http.get("/")).text)
    assert "A relay forwards" in page.words
    assert "A directory keeps" not in page.words
    assert "Messages" not in page.words
    assert "/.well-known/ohttp-gateway" not in page.addresses
    _, page = await shown(tmp_path / "b", relay=False)
    assert "A relay forwards" not in page.words
    assert "A directory keeps" in page.words


async def test_who_takes_plaintext_says_what_it_sees(tmp_path: Path) -> None:
    _, without = await shown(tmp_path)
    _, page = await shown(tmp_path, v1=True)
    assert "They do not encrypt" in page.words
    assert "BIP 77 and BIP 78" in page.words
    assert "They do not encrypt" not in without.words


@pytest.mark.parametrize(
    ("ttl", "words"),
    [(60.0, "1 minute"), (7200.0, "2 hours"), (86_400.0, "1 day"), (1.0, "less than a minute")],
)
async def test_times_are_told_in_words(tmp_path: Path, ttl: float, words: str) -> None:
    _, page = await shown(tmp_path, ttl=ttl)
    assert f"kept for {words} " in page.words


async def test_security_txt_has_a_contact_and_runs_out(tmp_path: Path) -> None:
    clock = Clock(int(MIDDAY.timestamp()))
    settings = quick(tmp_path, contact="me@example.org")
    async with in_process(settings, clock) as (_, client):
        answer = await client.http.get("/.well-known/security.txt")
        clock.now += 86_400
        later = await client.http.get("/.well-known/security.txt")
        refused = await client.http.post("/.well-known/security.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "Contact: mailto:me@example.org\nExpires: 2027-05-30T00:00:00Z\nPreferred-Languages: en\n"
    )
    assert "Expires: 2027-05-31T00:00:00Z" in later.text
    assert refused.status_code == 405


async def test_who_has_a_public_address_names_it(tmp_path: Path) -> None:
    for number, given in enumerate(("https://room.example/", "http://room.example", None)):
        settings = quick(tmp_path / str(number), contact="me@example.org", public_url=given)
        async with in_process(settings) as (_, client):
            text = (await client.http.get("/.well-known/security.txt")).text
            page = Reader((await client.http.get("/")).text)
        told = number == 0
        line = "Canonical: https://room.example/.well-known/security.txt\n"
        assert text.endswith(line) == ("Canonical" in text) == told
        assert ("Address https://room.example " in page.words) == told


async def test_without_a_contact_there_is_no_security_txt(tmp_path: Path) -> None:
    """RFC 9116 §2.5.3 allows none without one."""
    async with in_process(quick(tmp_path)) as (_, client):
        assert (await client.http.get("/.well-known/security.txt")).status_code == 404


def test_the_page_needs_no_library_of_templates() -> None:
    program = (
        "import sys; sys.modules['jinja2'] = None; import dovetail.mailroom.landing;"
        "assert 'markupsafe' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
