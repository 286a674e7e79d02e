"""The log of a shop as JSON: which ids it names, and that it holds no secret."""

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from tests.merchant.api.raw_http import ask, dialled, request
from tests.merchant.till import open_till, pay

from dovetail.merchant.data import api_keys, wallets, webhooks
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.schema import invoice_transactions
from dovetail.merchant.messages import Scope
from dovetail.merchant.server import serving
from dovetail.serving.logs import JsonLines

LOGS = "dovetail", "uvicorn.error", "procrastinate", "psycopg.pool"
"""Those that `dovetail merchant serve` and `worker` write."""


class Kept(logging.Handler):
    """Keeps each line as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def kept() -> Iterator[list[str]]:
    """Keep all that is logged in the block, down to the last detail."""
    handler = Kept()
    loggers = [logging.getLogger(each) for each in LOGS]
    former = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        for each, level in zip(loggers, former, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)


@pytest.fixture
def database(place) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


def texts(value: Any) -> Iterator[str]:
    """Each long text in a value of JSON: keys, PSBTs, scripts, addresses."""
    if isinstance(value, str):
        yield from [value] if len(value) >= 30 else []
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def secrets_of(till: Any, database: Database, row: Any, key: str) -> dict[str, str]:
    """What must be in no line: of the invoice, its session, its wallet and its callers."""
    (wallet,) = database.read(wallets.all_wallets)
    uri = row.uri or ""
    found = {
        "the API key": key,
        "its random part": key.partition("_")[2][:16],
        "the webhook's secret": HOOK[6:],
        "the address": row.address,
        "the script": row.script.hex(),
        "the URI": uri,
        "the mailbox": uri.partition("pj=")[2][:60],
        "the descriptor": wallet.descriptor,
        "the extended key": wallet.descriptor.partition("tpub")[2][:40],
        "the customer's order": "order-4711",
        "the customer's label": "a private label",
    }
    stored = database.sessions.stored(row.session_id)
    for number, event in enumerate(stored.events):
        for place, value in enumerate(texts(json.loads(event.data))):
            found[f"text {place} of event {number}, {event.tag}"] = value[:40]
    for raw in database.read(
        lambda c: list(c.execute(select(invoice_transactions.c.raw)).scalars())
    ):
        found["a transaction in hex"] = raw.hex()[:80]
        found["a transaction in base64"] = base64.b64encode(raw)[:60].decode()
    return found


HOOK = "whsec_" + base64.b64encode(b"a secret of a webhook, 32 bytes!").decode()


async def test_a_whole_invoice_leaves_no_secret_in_the_log(world, database) -> None:
    with kept() as lines:
        async with (
            open_till(world, database) as till,
            serving(till.parts, "127.0.0.1", 0) as url,
        ):
            key = database.write(
                lambda c: api_keys.add_key(
                    c, name="till", scopes=tuple(Scope), store_ids=None, now=database.now()
                )
            )[1]
            database.write(
                lambda c: webhooks.add_endpoint(
                    c,
                    store_id=till.store.id,
                    url="https://shop.example/hook",
                    secret=HOOK,
                    kinds=None,
                    now=database.now(),
                )
            )
            body = {"amount_sats": 50_000, "order_id": "order-4711", "label": "a private label"}
            path = f"/api/v1/stores/{till.store.id}/invoices"
            made = await ask(url, "POST", path, secret=key, body=json.dumps(body).encode())
            assert made.status == 201
            row = till.row(UUID(made.json["id"]))
            async with dialled(url) as line:
                stream = f"/api/v1/invoices/{row.id}/events/stream"
                await line.send(request("GET", stream, secret=key))
                await line.head()
                await pay(till, row)
                while (await line.event() or {}).get("event") != "invoice.settled":
                    pass
            secrets = secrets_of(till, database, till.row(row.id), key)
            await ask(url, "GET", f"/api/v1/invoices?order_id={row.address}", secret=key)
            await ask(url, "GET", f"/api/v1/{row.address}", secret=key)
            await ask(url, "GET", "/api/v1/stores", secret=f"{key}x")
    told = [json.loads(each) for each in lines]
    assert len(secrets) > 20
    leaks = {
        (about, line["log"])
        for about, secret in secrets.items()
        for text, line in zip(lines, told, strict=True)
        if len(secret) > 7 and secret in text
    }
    assert leaks == set()
    assert all(set(each) >= {"time", "level", "log", "words"} for each in told)
    of_requests = [each for each in told if each["log"] == "dovetail.merchant.api.door"]
    assert len(of_requests) >= 4
    assert made.headers["x-request-id"] in {each["request"] for each in of_requests}
    of_session = {each.get("session") for each in told} - {None}
    assert of_session <= {str(row.session_id)}
