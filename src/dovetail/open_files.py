"""The limit of open files of this process, sockets included."""

import sys

_OFTEN_MOST = 10_240
"""The highest limit that macOS accepts when it names none."""


def current_limit() -> int | None:
    """Return the present limit; None if there is none."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # not on every platform

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int | None:
    """Raise the limit as far as a normal user may, and return it; None if there is none."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # not on every platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _OFTEN_MOST):
        more = limit == resource.RLIM_INFINITY or limit > soft
        if soft != resource.RLIM_INFINITY and more:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            except (ValueError, OSError):
                continue
            break
    return current_limit()
