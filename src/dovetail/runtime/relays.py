"""The choice of an OHTTP relay, and how long one that failed is avoided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dovetail.crypto.entropy import Entropy, below, system
from dovetail.errors import ConfigurationError
from dovetail.runtime.relay_operators import one_hand, operator
from dovetail.tor import is_onion

FIRST_QUARANTINE = 30.0
LONGEST_QUARANTINE = 600.0


@dataclass(slots=True)
class _Standing:
    failures: int = 0
    until: float = 0.0


class Relays:
    """Chooses among relays at random, and avoids those that failed lately.

    A relay of the directory's own operator hides nothing from it, and is never chosen (ADR 0036).
    A quarantine always ends: it lasts 30 s after the first failure in a row and doubles up to
    10 min; when every relay is in quarantine, the one that leaves it first is used.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        clock: Callable[[], float],
        direct: bool = False,
        required: bool = True,
        entropy: Entropy = system,
    ) -> None:
        """`direct` allows going without a relay: the directory then sees our address.

        Raises `ConfigurationError` when there is neither a relay nor that permission, and for a
        relay that is no URL. Unless `required`, `choose` raises where there is no relay.
        """
        if required and not urls and not direct:
            raise _no_relay()
        self._standings = {_checked(url): _Standing() for url in urls}
        self._clock = clock
        self._direct = direct
        self._entropy = entropy

    def choose(self, directory: str) -> str | None:
        """The relay for one request to `directory`; None means straight to it.

        An onion address needs no relay, as Tor hides our address. Raises `ConfigurationError` where
        no relay of another operator is configured, and going without is not allowed.
        """
        if is_onion(directory):
            return None
        apart = self._apart(directory)
        if not apart:
            if not self._direct:
                raise _only_its_own(directory) if self._standings else _no_relay()
            return None
        now = self._clock()
        ready = [url for url in apart if self._standings[url].until <= now]
        if ready:
            return ready[below(self._entropy, len(ready))]
        return min(apart, key=lambda url: self._standings[url].until)

    def hides_from(self, directory: str) -> bool:
        """Whether a relay or Tor hides our network address from `directory`."""
        return is_onion(directory) or bool(self._apart(directory))

    def _apart(self, directory: str) -> list[str]:
        return [url for url in self._standings if not one_hand(url, directory)]

    def failed(self, relay: str | None) -> None:
        """Note that a request through `relay` failed."""
        if relay is None:
            return
        standing = self._standings[relay]
        pause = min(FIRST_QUARANTINE * 2**standing.failures, LONGEST_QUARANTINE)
        standing.until = self._clock() + pause
        standing.failures = min(standing.failures + 1, 10)

    def worked(self, relay: str | None) -> None:
        """Note that a request through `relay` was answered."""
        if relay is not None:
            self._standings[relay] = _Standing()


def _no_relay() -> ConfigurationError:
    return ConfigurationError(
        "No OHTTP relay is configured: set `relays`, or `direct = true` to let the directory see"
        " your IP address."
    )


def _only_its_own(directory: str) -> ConfigurationError:
    return ConfigurationError(
        f"Every relay that is set belongs to the directory's operator, {operator(directory)}, who"
        " would learn your IP address: set `relays` to another operator's, or `direct = true` to"
        " let the directory see your IP address."
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        fits = named and not parts.query
    except ValueError:
        fits = False
    if not fits:
        raise ConfigurationError(
            "An OHTTP relay is named by a URL like https://relay.example: correct `relays`."
        )
    return url
