"""The corpus that is kept: few and small inputs that together reach what all inputs reach."""

import shutil
from pathlib import Path

from tests.fuzz.campaign import folder_of, work, written
from tests.fuzz.target import CORPUS, Target

MOST_BYTES = 7_000
"""Of one target."""
MOST_FILES = 32


def keep(target: Target) -> str:
    kept, merged = CORPUS / target.name, folder_of(target, "merged")
    grown = folder_of(target, "corpus")
    if kept.is_dir():
        written(grown, (path.read_bytes() for path in kept.iterdir()))
    shutil.rmtree(merged)
    merged.mkdir()
    code, output = work(target, "-merge=1", str(merged), str(grown), patience=1200)
    if code:
        raise SystemExit(f"{target.name} cannot be merged:\n{output[-3000:]}")
    chosen = _spread(merged)
    if not chosen:
        raise SystemExit(f"{target.name} has no corpus to choose from: fuzz it first.")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    written(kept, chosen)
    return f"{len(chosen)} inputs, {sum(map(len, chosen))} bytes"


def _spread(folder: Path) -> list[bytes]:
    """Inputs of all sizes, as small ones are seldom deep; the largest go where it is too much."""
    inputs = sorted((path.read_bytes() for path in folder.iterdir()), key=len)
    step = max(1, -(-len(inputs) // MOST_FILES))
    chosen = inputs[step - 1 :: step] or inputs
    while sum(map(len, chosen)) > MOST_BYTES:
        chosen.pop()
    return chosen
