"""The logs that releases wrote, as tests read them."""

from pathlib import Path

V1 = Path(__file__).parent / "v1"

NAMES = tuple(sorted(f"{path.parent.name}/{path.stem}" for path in V1.glob("*/*.jsonl")))
"""Every log of version 1, such as `sender/success`."""


def entries(name: str) -> list[bytes]:
    """The entries of one log, in order."""
    return (V1 / f"{name}.jsonl").read_bytes().splitlines()
