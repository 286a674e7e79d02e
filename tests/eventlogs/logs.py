"""The logs that releases wrote, as tests read them."""

from pathlib import Path

KEPT = Path(__file__).parent
NEWEST = {"receiver": 1, "sender": 2}
"""The version that each role's events are written in now."""

NAMES = tuple(sorted(f"{path.parent.name}/{path.stem}" for path in KEPT.glob("v1/*/*.jsonl")))
"""Every log of version 1, such as `sender/success`; the sender's are kept in version 2 too."""


def entries(name: str, *, version: int = 1) -> list[bytes]:
    """The entries of one log, in order."""
    return (KEPT / f"v{version}" / f"{name}.jsonl").read_bytes().splitlines()
