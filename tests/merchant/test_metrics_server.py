"""The metrics of a shop that works, over real HTTP, on both databases."""

import re
from contextlib import AsyncExitStack

import pytest
from tests.merchant.api.raw_http import ask
from tests.merchant.quiet import quiet_parts
from tests.merchant.till import open_till, pay

from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.merchant.api.door import NO_ROUTE
from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Scope
from dovetail.merchant.server import serving
from dovetail.merchant.services import metrics as module
from dovetail.merchant.services.metrics import Metrics
from dovetail.serving.metrics_server import metrics_serving

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


async def read(url: str) -> dict[str, float]:
    """The numbers, by name and labels as they are written."""
    told = await ask(url.removesuffix("/metrics"), "GET", "/metrics")
    assert told.status == 200
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in told.body.decode().splitlines():
        if not line.startswith("#"):
            parts = _LINE.match(line)
            assert parts is not None, line
            name = f"{parts[1]}{{{parts[2]}}}" if parts[2] else parts[1]
            found[name.removeprefix("dovetail_")] = float(parts[3])
    return found


async def test_a_paid_invoice_shows_in_every_number(world, place, monkeypatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    metrics = Metrics()
    async with AsyncExitStack() as opened:
        database = opened.enter_context(Database.open(place, appended=metrics.appended))
        metrics.follow(database)
        url = await opened.enter_async_context(metrics_serving(metrics.text, "127.0.0.1", 0))
        till = await opened.enter_async_context(
            open_till(world, database, metrics=metrics, coins=(80_000,))
        )
        row = await till.ask()
        waiting = await read(url)
        assert waiting['invoices{status="new"}'] == 1
        assert sum(each for name, each in waiting.items() if name.startswith("sessions_open")) == 1
        await pay(till, row)
        found = await read(url)
    assert found['invoices{status="settled"}'] == 1
    assert found['invoices{status="new"}'] == 0
    assert found['invoice_events_total{kind="invoice.created"}'] == 1
    assert found['invoice_events_total{kind="invoice.settled"}'] == 1
    assert found['payments_credited_total{kind="payjoin"}'] == 1
    assert found['session_events_total{event="FinalizedProposal"}'] == 1
    assert found['chain_rounds_total{result="whole"}'] > 1
    assert 0 <= found["chain_lag_seconds"] < 30
    assert found['signer_answers_total{request="sign",result="answered"}'] == 1
    assert found["duties_here"] >= 2
    assert found["database_up"] == 1
    assert found["webhooks_waiting"] == 0
    secrets = (row.address, str(row.id), str(till.store.id), str(row.session_id or "-"))
    labels = " ".join(found)
    assert not [each for each in secrets if len(each) > 8 and each in labels]


async def test_requests_are_counted_by_the_template_of_their_path(database) -> None:
    metrics = Metrics()
    _, secret = database.write(
        lambda c: api_keys.add_key(
            c, name="test", scopes=tuple(Scope), store_ids=None, now=database.now()
        )
    )
    async with (
        quiet_parts(database) as parts,
        serving(parts, "127.0.0.1", 0, metrics=metrics) as url,
        metrics_serving(metrics.text, "127.0.0.1", 0) as told,
    ):
        own = "/api/v1/invoices/0190a0b0-0000-7000-8000-00000000abcd"
        await ask(url, "GET", own, secret=secret)
        await ask(url, "GET", own)
        await ask(url, "GET", "/api/v1/abcd", secret=secret)
        await ask(url, "BREW", "/api/v1/stores", secret=secret)
        await ask(url, "GET", "/health/live")
        found = await read(told)
    counted = {name: each for name, each in found.items() if name.startswith("requests_total")}
    route = "/api/v1/invoices/{invoice_id}"
    assert counted[f'requests_total{{method="GET",route="{route}",status="404"}}'] == 1
    assert counted[f'requests_total{{method="GET",route="{route}",status="401"}}'] == 1
    assert counted[f'requests_total{{method="GET",route="{NO_ROUTE}",status="404"}}'] == 1
    assert sum(counted.values()) == 4
    assert any('method="other"' in name for name in counted)
    assert "abcd" not in " ".join(found)
    assert found[f'request_seconds_count{{method="GET",route="{route}"}}'] == 2
    assert found["event_streams"] == 0


async def test_a_database_that_is_away_leaves_the_other_numbers(database, monkeypatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("The database is away.")

    metrics = Metrics()
    metrics.follow(database)
    metrics.looked(None)
    metrics.heard("sign", "refused", "The payjoin makes the wallet no richer: nothing is signed.")
    metrics.heard("sign", "refused", "Something with a secret in it.")
    metrics.attempted("failed")
    monkeypatch.setattr(Database, "read", away)
    async with metrics_serving(metrics.text, "127.0.0.1", 0) as url:
        found = await read(url)
    assert found["database_up"] == 0
    assert found['chain_rounds_total{result="failed"}'] == 1
    assert found['signer_refusals_total{reason="no-richer"}'] == 1
    assert found['signer_refusals_total{reason="other"}'] == 1
    assert found['webhook_attempts_total{result="failed"}'] == 1
    assert found["chain_lag_seconds"] != found["chain_lag_seconds"]  # none yet
    assert "invoices" not in " ".join(found)


async def test_only_the_one_path_is_there(database) -> None:
    async with metrics_serving(Metrics().text, "127.0.0.1", 0) as url:
        place = url.removesuffix("/metrics")
        assert (await ask(place, "GET", "/")).status == 404
        assert (await ask(place, "POST", "/metrics")).status == 405
        port = int(place.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"Port {port} cannot be listened on"):
            async with metrics_serving(Metrics().text, "127.0.0.1", port):
                pass
