"""Every attack on a mailroom of ours, and on payjoin-mailroom where there is one.

`python -m tests.flood [--seconds N] [WORDS]` takes the attacks that have one of the words in
their names.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.flood.attacks import ATTACKS
from tests.flood.measuring import BOUND, MEMORY, Make, measure, named_peer


async def run(words: list[str], seconds: float) -> int:
    """Print the table, and give how many attacks locked somebody out of ours."""
    names = [each for each in ATTACKS if not words or any(word in each for word in words)]
    ours = Make("Dovetail")
    peer = named_peer()
    makes = [ours] if peer is None else [ours, Make("payjoin-mailroom", peer)]
    print(f"A lock-out: an answer missing or after {BOUND:g} s, over {MEMORY} MiB, or gone.")
    failed = 0
    with TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            for make in makes:
                fared = await measure(make, name, Path(folder, f"{number}-{make.name}"), seconds)
                mark = "  LOCK-OUT" if fared.locked_out else ""
                failed += make is ours and fared.locked_out
                print(f"{make.name:16} {fared}{mark}", flush=True)
    print(f"{len(names)} attacks, {failed} lock-outs")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(run(arguments.words, arguments.seconds)) > 0)
