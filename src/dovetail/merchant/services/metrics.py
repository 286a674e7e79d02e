"""Numbers of one process, and of the shop as its database has it, in Prometheus' form.

Every label is one of a few words of the program. None comes from a caller or a customer.
"""

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

from dovetail.bitcoin import UnixTime
from dovetail.errors import DovetailError
from dovetail.merchant.data import census, workers
from dovetail.merchant.data.database import Database
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.signer.reasons import reason_of
from dovetail.stores.ports import Appended

FRESH = 15.0
"""Seconds for which the numbers of the database are told again."""

OVERLAP = 60.0
"""Seconds that are read again: a transaction that began early may commit late."""

if TYPE_CHECKING:
    from uuid import UUID

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"


class Metrics:
    """The numbers of this process. It has a registry of its own, so that there is no global one."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is counted yet."""
        self._clock = clock
        self._looked_at: float | None = None
        self.registry = registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": registry, "namespace": "dovetail"}
        self._requests = Counter(
            "requests", "Answered requests.", ("method", "route", "status"), **own
        )
        self._seconds = Histogram(
            "request_seconds", "Until the answer was sent; no streams.", ("method", "route"), **own
        )
        self._streams = Gauge("event_streams", "Open event streams of this process.", **own)
        self._duties = Gauge("duties_here", "Duties that this process does.", **own)
        self._session_events = Counter(
            "session_events", "Events of sessions that this process has written.", ("event",), **own
        )
        self._webhooks = Counter("webhook_attempts", "Attempts to deliver.", ("result",), **own)
        self._rounds = Counter("chain_rounds", "Looks at the chain.", ("result",), **own)
        self._round_seconds = Histogram("chain_round_seconds", "Time of a whole look.", **own)
        lag = Gauge(
            "chain_lag_seconds", "Since the last whole look of this process; NaN: none.", **own
        )
        lag.set_function(self._lag)
        self._signer = Counter(
            "signer_answers", "What the signer has answered.", ("request", "result"), **own
        )
        self._refusals = Counter(
            "signer_refusals", "Why the signer has refused.", ("reason",), **own
        )

    def follow(self, database: Database) -> None:
        """Tell the numbers of the shop's database too."""
        self.registry.register(_Shop(database, self._clock))

    def follow_streams(self, count: Callable[[], int]) -> None:
        """Ask `count` for the number of open streams."""
        self._streams.set_function(count)

    def follow_duties(self, count: Callable[[], int]) -> None:
        """Ask `count` for the number of duties under way."""
        self._duties.set_function(count)

    def text(self) -> bytes:
        """All numbers in Prometheus' text form; it reads the database now and then."""
        return generate_latest(self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count a request; `route` is the template of its path, `seconds` None for a stream."""
        known = method if method in METHODS else OTHER
        self._requests.labels(known, route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(known, route).observe(seconds)

    def appended(self, appended: Appended) -> None:
        """Count an event of a session."""
        self._session_events.labels(type(appended.event).__name__).inc()

    def attempted(self, result: str) -> None:
        """Count an attempt to deliver a webhook: accepted, failed or gone."""
        self._webhooks.labels(result).inc()

    def looked(self, seconds: float | None) -> None:
        """Count a look at the chain; None: it failed."""
        if seconds is None:
            self._rounds.labels("failed").inc()
            return
        self._rounds.labels("whole").inc()
        self._round_seconds.observe(seconds)
        self._looked_at = self._clock()

    def heard(self, request: str, result: str, why: str) -> None:
        """Count an answer of the signer; `why` is the sentence of a refusal."""
        self._signer.labels(request, result).inc()
        if result == "refused":
            self._refusals.labels(reason_of(why)).inc()

    def _lag(self) -> float:
        return float("nan") if self._looked_at is None else self._clock() - self._looked_at


class _Shop(Collector):
    """The numbers of the database. They are the whole shop's, in each process that tells them."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._began = self._read_to = time.time()
        self._lock = threading.Lock()
        self._known: tuple[float, list[Metric]] | None = None
        self._counted: dict[UUID, float] = {}
        self._events: Tally[str] = Tally()
        self._credited: Tally[str] = Tally()

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that the database is not read before somebody asks."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        with self._lock:
            if self._known is None or self._clock() - self._known[0] >= FRESH:
                self._known = self._clock(), self._read()
            return self._known[1]

    def _read(self) -> list[Metric]:
        up = GaugeMetricFamily("dovetail_database_up", "Whether the database answers.")
        try:
            told = self._told()
        except DovetailError:
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [up, *told]

    def _told(self) -> list[Metric]:
        read, now = self._database.read, self._database.now()
        by_status = dict.fromkeys(InvoiceStatus, 0) | read(census.invoices_by_status)
        found = [
            _gauge("invoices", "Invoices of the shop.", "status", by_status),
            _gauge(
                "sessions_open",
                "Sessions under way, by their last event.",
                "event",
                read(census.sessions_by_event),
            ),
            *self._webhooks(now),
            *self._tallied(),
        ]
        if self._database.is_shared:
            waiting, running = read(workers.duties)
            found.append(
                _gauge(
                    "duties", "Duties of the shop.", "state", {"waiting": waiting, "done": running}
                )
            )
        return found

    def _webhooks(self, now: UnixTime) -> list[Metric]:
        count, overdue = self._database.read(lambda c: census.webhooks_waiting(c, now))
        waiting = GaugeMetricFamily("dovetail_webhooks_waiting", "Deliveries not yet accepted.")
        waiting.add_metric((), count)
        late = GaugeMetricFamily("dovetail_webhooks_overdue_seconds", "Of the oldest one.")
        late.add_metric((), overdue)
        return [waiting, late]

    def _tallied(self) -> list[Metric]:
        """Count the events since the last time; those of the overlap were counted by their ids."""
        since = max(self._began, self._read_to - OVERLAP)
        self._read_to = time.time()
        for event_id, kind, paid_by in self._database.read(lambda c: census.events_since(c, since)):
            if event_id not in self._counted:
                self._counted[event_id] = self._read_to
                self._events[kind] += 1
                self._credited.update(paid_by)
        oldest = self._read_to - 2 * OVERLAP
        self._counted = {each: at for each, at in self._counted.items() if at >= oldest}
        return [
            _counter("invoice_events", "Since this process began.", "kind", self._events),
            _counter(
                "payments_credited",
                "Transactions that settled invoices since this process began.",
                "kind",
                self._credited,
            ),
        ]


def _gauge(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
    made = GaugeMetricFamily(f"dovetail_{name}", words, labels=(label,))
    for value, count in values.items():
        made.add_metric((value,), count)
    return made


def _counter(name: str, words: str, label: str, values: Tally[str]) -> Metric:
    made = CounterMetricFamily(f"dovetail_{name}", words, labels=(label,))
    for value, count in values.items():
        made.add_metric((value,), count)
    return made
