"""The page of hostile peers, written from the records of the tests."""

from collections import Counter
from itertools import groupby

from tests.hostile.record import Record
from tests.hostile.tricks import ALL

_HEAD = """\
# Hostile peers

<!-- Written by `python -m tests.hostile` from the records there; edit those instead. -->

What a dishonest counterparty or server may try, what Dovetail does about it, by which rule, and
what its user reads. Each row is a test: the trick is played against the real runtime on a chain
whose blocks Bitcoin Core's consensus code checks, the words are compared, and in the end the chain
is asked what was paid.

{counts}

A peer can always make a payjoin fail. What it cannot do is take more than was agreed, have a
payment made twice, or keep it from being made.
"""


def page() -> str:
    """The whole page."""
    found = Counter(record.peer for record in ALL)
    parts = [f"- {peer.heading}: {count}" for peer, count in found.items()]
    counts = f"{len(ALL)} tricks:\n\n{chr(10).join(parts)}"
    sections = [_section(list(group)) for _, group in groupby(ALL, key=lambda each: each.peer)]
    return "\n".join((_HEAD.format(counts=counts), *sections))


def _section(records: list[Record]) -> str:
    peer = records[0].peer
    rows = "\n".join(map(_row, records))
    return (
        f"## {peer.heading}\n\n{peer.words}\n\n"
        "| trick | what Dovetail does | rule | what you are told | the payment |\n"
        f"|---|---|---|---|---|\n{rows}\n"
    )


def _row(record: Record) -> str:
    name = record.name[:1].upper() + record.name[1:]
    cells = (f"**{name}.** {record.trick}", record.we, record.rule, record.told, record.ends)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
