"""By which names the server is asked, and at which origin its pages and links are.

Nothing else reads the `Host` of a request, so that nobody who chooses one chooses a link.
"""

from dataclasses import dataclass

from dovetail.merchant.public_url import PublicUrl, host_of, is_loopback
from dovetail.serving.asgi import Scope

_PLAIN = "http"


@dataclass(frozen=True, slots=True)
class Site:
    """The public URL; without one the server is there for its own machine alone."""

    public: PublicUrl | None = None

    def has(self, scope: Scope) -> bool:
        """Whether the request names this server: by its public URL, or as the machine itself.

        A page elsewhere whose name leads here (DNS rebinding) has a name of its own, and no answer.
        """
        host = self._host(scope)
        if host is None:
            return False
        return is_loopback(host) or (self.public is not None and host == self.public.host)

    def origin(self, scope: Scope) -> str:
        """The origin of pages and links: the public URL, or where this machine was asked."""
        if self.public is not None:
            return str(self.public)
        return f"{scope['scheme']}://{self._host(scope) or ''}"

    def is_secure(self, scope: Scope) -> bool:
        """Whether browsers reach the pages by TLS, here or at a proxy."""
        return not self.origin(scope).startswith(f"{_PLAIN}:")

    def _host(self, scope: Scope) -> str | None:
        """The host of a request that names one, and only one."""
        told = [bytes(value) for name, value in scope["headers"] if name == b"host"]
        if len(told) != 1:
            return None
        scheme = scope["scheme"] if self.public is None else self.public.scheme
        return host_of(told[0].decode("latin-1"), scheme)
