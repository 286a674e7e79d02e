"""What every answer of the server has and has not, whichever interface gives it."""

import logging
from collections.abc import AsyncIterator

import pytest
from tests.merchant.api.raw_http import Told, ask
from tests.merchant.pages import gallery
from tests.merchant.pages.site import Pages, opened

from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.assets import asset_path

PATHS = {
    "/api/v1/openapi.json": 200,
    "/api/v1/stores": 401,
    "/api/v1/nothing": 404,
    "/greenfield/api/v1/health": 200,
    "/greenfield/api/v1/stores": 401,
    "/i/{invoice}": 200,
    "/i/{invoice}/state": 200,
    "/i/nothing": 404,
    "/claims/nothing": 404,
    "/dashboard": 303,
    "/dashboard/sign-in": 200,
    "/health/live": 200,
    "/nothing": 404,
    asset_path("pages.css"): 200,
    asset_path("pages.js"): 200,
}
ELSEWHERE = "https://evil.example"
CORS = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
)


@pytest.fixture
async def shop(tmp_path) -> AsyncIterator[Pages]:
    with Database.open(tmp_path / "shop.db") as database:
        async with opened(database) as made:
            yield made


async def answers(shop: Pages, **headers: str) -> AsyncIterator[tuple[str, Told]]:
    row = shop.add(gallery.add)
    for path, status in PATHS.items():
        told = await shop.get(path.format(invoice=row.id), **headers)
        assert told.status == status, (path, told)
        yield path, told


async def test_each_answer_has_the_headers_that_keep_browsers_safe(shop) -> None:
    async for path, told in answers(shop):
        assert told.headers["x-content-type-options"] == "nosniff", path
        assert told.headers["referrer-policy"] in ("no-referrer", "same-origin"), path
        assert told.headers["cross-origin-resource-policy"] == "same-origin", path
        assert "frame-ancestors 'none'" in told.headers["content-security-policy"], path
        assert told.headers["content-security-policy"].startswith("default-src 'none'"), path
        assert "unsafe" not in told.headers["content-security-policy"], path
        assert "x-request-id" in told.headers, path


async def test_only_files_that_never_change_are_kept(shop) -> None:
    async for path, told in answers(shop):
        kept = path.startswith("/assets/")
        assert ("no-store" in told.headers["cache-control"]) is not kept, path


async def test_each_body_has_its_type_and_each_text_its_letters(shop) -> None:
    async for path, told in answers(shop):
        kind = told.headers.get("content-type", "")
        assert kind or not told.body, path
        assert not kind.startswith("text/") or kind.endswith("; charset=utf-8"), (path, kind)


async def test_no_answer_names_the_software_behind_it(shop) -> None:
    async for path, told in answers(shop):
        assert not told.headers.keys() & {"server", "x-powered-by", "via"}, path
        for word in (b"litestar", b"uvicorn", b"Traceback", b"python"):
            assert word not in told.body or path.endswith("openapi.json"), (path, word)


async def test_no_other_site_reads_an_answer(shop) -> None:
    """There is no CORS: neither for a request nor for the question before it."""
    async for path, told in answers(shop, origin=ELSEWHERE):
        assert not [each for each in CORS if each in told.headers], path
    for path in ("/api/v1/stores", "/greenfield/api/v1/stores", "/dashboard/sign-in"):
        told = await ask(
            shop.url,
            "OPTIONS",
            path,
            origin=ELSEWHERE,
            access_control_request_method="POST",
            access_control_request_headers="authorization",
        )
        assert not [each for each in CORS if each in told.headers], path


async def test_a_method_that_is_not_served_is_refused(shop) -> None:
    row = shop.add(gallery.add)
    for method in ("TRACE", "PUT", "DELETE", "PATCH"):
        for path in (f"/i/{row.id}", "/dashboard", "/api/v1/stores"):
            assert (await ask(shop.url, method, path)).status == 405, (method, path)


async def test_the_log_tells_who_was_refused_and_no_secret(shop, caplog) -> None:
    now = shop.database.now()
    row, secret = shop.database.write(
        lambda c: api_keys.add_key(
            c, name="till", scopes=[Scope.STORES_READ], store_ids=None, now=now
        )
    )
    caplog.set_level(logging.INFO, "dovetail.merchant")
    assert (await ask(shop.url, "GET", "/api/v1/keys", secret=secret)).status == 403
    assert (await ask(shop.url, "GET", "/api/v1/keys", secret="dvt_wrong")).status == 401
    assert (await ask(shop.url, "GET", "/i/x", host="evil.example")).status == 421
    assert [each.getMessage() for each in caplog.records if "was refused" in each.msg] == [
        f"GET /api/v1/keys was refused with 403: asked by key {row.id}",
        "GET /api/v1/keys was refused with 401: asked by nobody known",
        "GET none was refused with 421: asked by nobody known",
    ]
    assert "dvt_" not in caplog.text
    assert "evil" not in caplog.text
