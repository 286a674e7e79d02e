"""A whole session of both parties, from the URI to both logs closed, every event as JSON."""

from collections.abc import Iterator
from time import perf_counter

from benchmarks.harness import Comparison, Figure, Timer, TimesAsFast
from benchmarks.play import Payjoin

TITLE = "A whole session, both parties in process, without HTTP and signing"
BASELINE = "the native peer, rust-payjoin: 2.1 ms on the same kind of machine, not measured here"

_NATIVE_PEER = Figure(2.1e-3)


def comparisons() -> Iterator[Comparison]:
    """Both parties alone, and with the gateway and mailboxes, which are no party's work.

    Wallets sign off the clock, and read their PSBT there; all checks and all events are on it.
    """
    yield Comparison(
        "both parties", _timer(with_directory=False), _NATIVE_PEER, target=TimesAsFast(1)
    )
    yield Comparison(
        "the same, and the gateway and mailboxes",
        _timer(with_directory=True),
        _NATIVE_PEER,
        target=TimesAsFast(1),
    )


def _timer(*, with_directory: bool) -> Timer:
    def timer(repetitions: int) -> float:
        excluded = 0.0
        start = perf_counter()
        for _ in range(repetitions):
            payjoin = Payjoin()
            payjoin.run()
            excluded += payjoin.signing
            if not with_directory:
                excluded += payjoin.serving
        return perf_counter() - start - excluded

    return timer
