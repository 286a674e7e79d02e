"""How many files, sockets among them, the system lets this process have open at once."""

import sys

_OFTEN_MOST = 10_240
"""What macOS takes at most, where it names no limit."""


def allowed() -> int | None:
    """The limit that holds now; None where there is none."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # not on every platform

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raised() -> int | None:
    """Raise the limit as far as an ordinary user may; what holds then, None where there is none."""
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
    return allowed()
