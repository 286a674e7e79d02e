"""Writes the page of hostile peers, or with `--check` says whether it is current."""

import sys
from pathlib import Path

from tests.hostile.page import page

PATH = Path("docs/reference/hostile-peers.md")


def main() -> int:
    """Write or compare; the exit code."""
    fresh = page()
    if "--check" not in sys.argv[1:]:
        PATH.write_text(fresh)
        sys.stderr.write(f"Wrote {PATH}.\n")
        return 0
    if PATH.exists() and PATH.read_text() == fresh:
        return 0
    sys.stderr.write(f"{PATH} is not what the tests say: run `make docs`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
