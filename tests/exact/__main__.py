"""`make exact`: nobody is short, and the chosen rate is kept, over all pairs of script types."""

import sys

from tests.exact.payjoins import cases
from tests.exact.table import report, tried

if __name__ == "__main__":
    sys.exit(report(tried(cases())))
