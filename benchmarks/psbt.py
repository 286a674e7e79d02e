"""Reading and writing PSBTs (BIP 174)."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.harness import Comparison, TimesAsFast, repeated
from benchmarks.keys import original
from embit.psbt import PSBT

from dovetail.bitcoin.psbt import Psbt

TITLE = "PSBT, parse and serialize"
BASELINE = "embit"

_VECTORS = Path(__file__).parents[1] / "tests" / "vectors" / "bip174.json"


def comparisons() -> Iterator[Comparison]:
    """Each way alone, on payments as they are sent and on BIP 174's own vectors."""
    vectors = json.loads(_VECTORS.read_text())
    samples = {
        "2 inputs, final": original(),
        "12 inputs, final": original(inputs=12),
        "2 inputs with transactions of 2 outputs": original(batch=2),
        "2 inputs with transactions of 24 outputs": original(batch=24),
        "BIP 174, one input final": bytes.fromhex(vectors["valid"][1]["psbt"]),
        "BIP 174, combiner": bytes.fromhex(vectors["roles"]["combiner"]),
    }
    for name, data in samples.items():
        ours, theirs = Psbt.parse(data), PSBT.parse(data)
        yield Comparison(
            f"{name}: parse",
            repeated(partial(Psbt.parse, data)),
            repeated(partial(PSBT.parse, data)),
            target=TimesAsFast(1),
        )
        yield Comparison(
            f"{name}: serialize",
            repeated(ours.serialize),
            repeated(theirs.serialize),
            target=TimesAsFast(1),
        )
