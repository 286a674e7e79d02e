"""What a shop costs, on its real processes: `python -m benchmarks.till [--quick] [table …]`."""

import argparse
import platform

from benchmarks.till import events, invoices, payjoins, waiting, world

TABLES = {
    "invoices": invoices.report,
    "payjoins": payjoins.report,
    "events": events.report,
    "waiting": waiting.report,
}


def main() -> None:
    """Print the tables; a missed target says MISSED and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.till", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"one of {', '.join(TABLES)}")
    parser.add_argument("--store", choices=(world.POSTGRESQL, world.SQLITE), action="append")
    parser.add_argument("--quick", action="store_true", help="see that all run; measure little")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"no table is called {', '.join(sorted(unknown))}; see --help")
    print(f"Python {platform.python_version()} on {platform.machine()}")
    for name in arguments.tables or TABLES:
        for store in arguments.store or (world.POSTGRESQL, world.SQLITE):
            TABLES[name](store, quick=arguments.quick)


if __name__ == "__main__":
    main()
