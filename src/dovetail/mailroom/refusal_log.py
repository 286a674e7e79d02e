"""What was refused for a limit: told to the client at once, and to the operator now and then."""

import logging
from collections import Counter

from dovetail.serving.responses import Response, overloaded

_log = logging.getLogger(__name__)


class Refusals:
    """Counts refusals by what there was too much of; nothing of who was refused."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def overloaded(self, what: str) -> Response:
        """503, which the log will tell of."""
        self._counts[what] += 1
        return overloaded(what)

    def tell(self) -> None:
        """Write one line about what was refused since the last time, if anything was."""
        if self._counts:
            counted = ", ".join(f"{n} for {what}" for what, n in sorted(self._counts.items()))
            _log.warning("Requests were refused for a limit: %s.", counted)
            self._counts.clear()
