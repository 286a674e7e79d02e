"""Counts requests that were refused for a limit, and logs the counts from time to time."""

import logging
from collections import Counter

from dovetail.mailroom.counts import Counts
from dovetail.serving.responses import Response, overloaded

_log = logging.getLogger(__name__)


class Refusals:
    """Counts refusals by the limit that was reached; it keeps nothing about clients."""

    def __init__(self, counts: Counts | None = None) -> None:
        """Count into `counts` too."""
        self._counts: Counter[str] = Counter()
        self._total = counts or Counts()

    def overloaded(self, what: str) -> Response:
        """Return 503, and count it for the log."""
        self._counts[what] += 1
        self._total.refused(what)
        return overloaded(what)

    def log_counts(self) -> None:
        """Log one line about the refusals since the last line, if there were any."""
        if self._counts:
            counted = ", ".join(f"{n} for {what}" for what, n in sorted(self._counts.items()))
            _log.warning("Requests were refused for a limit: %s.", counted)
            self._counts.clear()
