"""All pairings, in the order in which they are run and printed."""

from tests.interop import npm_peer
from tests.interop.behaviours import BEHAVIOURS
from tests.interop.combinations import COMBINATIONS, SCRIPT_TYPES
from tests.interop.core_cli import CORE_CLI
from tests.interop.endings import ENDINGS
from tests.interop.rates import rates
from tests.interop.refusals import REFUSALS
from tests.interop.taken_over import TAKEN_OVER
from tests.interop.version_one import VERSION_ONE

PAIRINGS = (
    *COMBINATIONS,
    *SCRIPT_TYPES,
    *BEHAVIOURS,
    *ENDINGS,
    *TAKEN_OVER,
    *REFUSALS,
    *VERSION_ONE,
    *npm_peer.PAIRINGS,
    *CORE_CLI,
    *rates(),
)
