"""A receiver's log, from its JSON to its state."""

from collections.abc import Iterator

import msgspec
from benchmarks.harness import AtMost, Comparison, repeated
from benchmarks.play import Payjoin

from dovetail.sessions import receiver
from dovetail.sessions.receiver.events import CODEC

TITLE = "Replay of a receiver's log"
BASELINE = "msgspec.json.decode of the same lines, untyped"


_INPUTS_OF_12_KB = 20


def comparisons() -> Iterator[Comparison]:
    """The log of a sender who spends many coins, and of one who spends two.

    A live session's PSBTs are read again, a closed one's are compared with their checksums.
    """
    for inputs in (_INPUTS_OF_12_KB, 2):
        payjoin = Payjoin(inputs=inputs)
        payjoin.run()
        log = payjoin.receiver_log.lines
        yield _replay("complete", log, AtMost(15))
        yield _replay("still live", log[:-1], None)


def _replay(name: str, log: list[bytes], target: AtMost | None) -> Comparison:
    kilobytes = sum(map(len, log)) / 1000
    return Comparison(
        f"{name}, {len(log)} events, {kilobytes:.1f} KB",
        repeated(lambda: receiver.replay(CODEC.decode_log(log))),
        repeated(lambda: [msgspec.json.decode(entry) for entry in log]),
        target=target,
    )
