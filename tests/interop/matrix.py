"""All pairings, in the order in which they are run and printed."""

from tests.interop import npm_peer
from tests.interop.behaviours import behaviours
from tests.interop.combinations import combinations, script_types
from tests.interop.core_cli import core_cli
from tests.interop.endings import endings
from tests.interop.rates import rates
from tests.interop.refusals import refusals
from tests.interop.taken_over import taken_over
from tests.interop.version_one import version_one

PAIRINGS = (
    *combinations(),
    *script_types(),
    *behaviours(),
    *endings(),
    *taken_over(),
    *refusals(),
    *version_one(),
    *npm_peer.PAIRINGS,
    *core_cli(),
    *rates(),
)
