"""The numbers of a mailroom in Prometheus' text form. No label comes from a client."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from dovetail.extras import brought_by

with brought_by("mailroom", "dovetail.mailroom"):
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

from dovetail.mailroom.counts import Counts
from dovetail.mailroom.gauges import PACKAGE, Gauges

_PREFIX = "dovetail_mailroom_"
_GAUGES: Mapping[str, tuple[str, str]] = {
    "messages": ("messages", "Messages that are kept, in steps of 32, once a minute."),
    "message bytes": ("message_bytes", "Bytes of disk that they take, likewise."),
    "polls": ("open_polls", "Long polls that wait, in steps of 32, once a minute."),
    "senders": ("open_v1_senders", "BIP 78 senders that wait, likewise."),
}
"""The name and meaning of each hidden number."""
_QUANTILES = ("0.5", "0.99")


class Metrics:
    """The numbers of one mailroom. It has a registry of its own, so that there is no global one."""

    def __init__(self, counts: Counts, gauges: Gauges) -> None:
        """Tell what `counts` has and what `gauges` say."""
        self._registry = CollectorRegistry()
        self._registry.register(_Numbers(counts, gauges))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return all numbers."""
        return generate_latest(self._registry)


class _Numbers(Collector):
    """The numbers, as the registry collects them."""

    def __init__(self, counts: Counts, gauges: Gauges) -> None:
        self._counts = counts
        self._gauges = gauges

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        counts = self._counts
        yield _labelled("info", "The version that runs.", "version", {version(PACKAGE): 1})
        yield self._requests()
        yield self._refusals()
        hidden = dict(counts.hidden)
        for key, (name, words) in _GAUGES.items():
            yield _gauge(name, words, hidden.get(key, 0))
        for name, (words, ask) in self._gauges.items():
            yield _gauge(name, words, ask())
        if counts.sync_seconds is not None:
            words = "Time of a durable write, by quantile, of at least 32 writes."
            quantiles: dict[str, float] = dict(zip(_QUANTILES, counts.sync_seconds, strict=True))
            yield _labelled("sync_seconds", words, "quantile", quantiles)
        words = "The longest delay of the event loop in the last minute."
        yield _gauge("loop_delay_seconds", words, counts.loop_delay)
        yield from self._purge(hidden.get("purged", 0))

    def _requests(self) -> Metric:
        made = CounterMetricFamily(
            f"{_PREFIX}requests", "Answers by kind and status.", labels=("kind", "status")
        )
        for (kind, status), number in dict(self._counts.requests).items():
            made.add_metric((kind, str(status)), number)
        return made

    def _refusals(self) -> Metric:
        made = CounterMetricFamily(
            f"{_PREFIX}refusals", "Requests that were refused for a limit.", labels=("reason",)
        )
        told = {
            name.removeprefix("refused "): number
            for name, number in dict(self._counts.hidden).items()
            if name.startswith("refused ")
        }
        for what, number in (told | dict(self._counts.refusals)).items():
            made.add_metric((what.replace(" ", "-"),), number)
        return made

    def _purge(self, purged: int) -> Iterable[Metric]:
        made = CounterMetricFamily(f"{_PREFIX}purged_messages", "Messages removed, in steps of 32.")
        made.add_metric((), purged)
        yield made
        yield _gauge("purge_seconds", "Time of the last purge.", self._counts.purge_seconds)
        if self._counts.purged_at is not None:
            yield _gauge(
                "purged_at_seconds", "When it ended, in Unix time.", self._counts.purged_at
            )


def _gauge(name: str, words: str, value: float) -> Metric:
    made = GaugeMetricFamily(f"{_PREFIX}{name}", words)
    made.add_metric((), value)
    return made


def _labelled(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    made = GaugeMetricFamily(f"{_PREFIX}{name}", words, labels=(label,))
    for value, number in values.items():
        made.add_metric((value,), number)
    return made
