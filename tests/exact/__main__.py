"""`make exact`: nobody is short, and the chosen rate is kept, over all pairs of script types."""

import sys
from itertools import chain

from tests.exact.payjoins import cases, least_cases
from tests.exact.table import report, tried

if __name__ == "__main__":
    sys.exit(report(tried(chain(cases(), least_cases()))))
