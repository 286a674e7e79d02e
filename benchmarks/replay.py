"""A receiver's log, from its JSON to its state."""

from collections.abc import Iterator

import msgspec
from benchmarks.harness import AtMost, Comparison, Figure, repeated
from benchmarks.payjoin_round import Payjoin

from dovetail.sessions import receiver
from dovetail.sessions.receiver.events import CODEC

TITLE = "Replay of a receiver's log"
BASELINE = "msgspec.json.decode of the same lines, untyped"


_INPUTS_OF_12_KB = 20
_NATIVE_PEER = Figure(0.037e-3)
_LIVE = AtMost(3.25)
"""0.12 ms."""


def comparisons() -> Iterator[Comparison]:
    """The log of a sender who spends many coins, and of one who spends two.

    A live session's PSBTs are read again, a closed one's are compared with their checksums.
    """
    yield _beside_native()
    for inputs in (_INPUTS_OF_12_KB, 2):
        payjoin = Payjoin(inputs=inputs)
        payjoin.run()
        log = payjoin.receiver_log.lines
        yield _replay("complete", log, AtMost(15))
        yield _replay("still live", log[:-1], None)


def _beside_native() -> Comparison:
    """A live log again and again, as an agent replays it; the native peer's figure is 0.037 ms."""
    payjoin = Payjoin()
    payjoin.run()
    log = payjoin.receiver_log.lines[:-1]
    return Comparison(
        f"live, {len(log)} events, beside rust-payjoin",
        repeated(lambda: receiver.replay(CODEC.decode_log(log))),
        _NATIVE_PEER,
        target=_LIVE,
    )


def _replay(name: str, log: list[bytes], target: AtMost | None) -> Comparison:
    kilobytes = sum(map(len, log)) / 1000
    return Comparison(
        f"{name}, {len(log)} events, {kilobytes:.1f} KB",
        repeated(lambda: receiver.replay(CODEC.decode_log(log))),
        repeated(lambda: [msgspec.json.decode(entry) for entry in log]),
        target=target,
    )
