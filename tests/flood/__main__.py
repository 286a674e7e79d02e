"""Every attack on our servers, and on payjoin-mailroom where there is one.

`python -m tests.flood [--seconds N] [WORDS]` takes the attacks that have one of the words in
their names.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.flood.attacks import ATTACKS, MAILROOM
from tests.flood.makes import Peer, named_peer
from tests.flood.measuring import BOUND, ENDING, MEMORY, ending_of, measure


async def run(words: list[str], seconds: float) -> int:
    names = [each for each in ATTACKS if not words or any(word in each for word in words)]
    peer = named_peer()
    print(
        f"A lock-out: an answer missing or after {BOUND:g} s, over {MEMORY} MiB, gone, or not ended"
        f" {ENDING:g} s after SIGTERM (where it waits for a gateway, 9 s)."
    )
    print(f"{'':16} {'attack':46} {'answered':>9} {'slowest':>9} {'peak':>11} {'end':>8}")
    failed = 0
    with TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            makes = [ATTACKS[name][0]]
            if peer is not None and name in MAILROOM:
                makes.append(Peer(program=peer))
            for make in makes:
                home = Path(folder, f"{number}-{make.name}")
                fared = await measure(make, name, home, seconds, ending=ending_of(name))
                mark = "  LOCK-OUT" if fared.locked_out else ""
                failed += make.ours and fared.locked_out
                print(f"{make.name:16} {fared}{mark}", flush=True)
    print(f"{len(names)} attacks, {failed} lock-outs")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(run(arguments.words, arguments.seconds)) > 0)
