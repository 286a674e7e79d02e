"""Speed as ratios against named baselines: `python -m benchmarks [--quick] [topic …]`."""

import argparse
import platform
from types import ModuleType

from benchmarks import (
    appends,
    history,
    mailroom,
    message_a,
    ohttp,
    psbt,
    replay,
    serving,
    session,
    starting,
    waiting,
    watching,
)
from benchmarks.harness import QUICK, THOROUGH, report

TOPICS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        message_a,
        ohttp,
        psbt,
        replay,
        session,
        starting,
        appends,
        history,
        serving,
        mailroom,
    )
}
TABLES = {"waiting": waiting.report, "watching": watching.report}
"""What is no ratio: each measures one whole thing, and has its target beside it."""
NAMES = (*TOPICS, *TABLES)


def main() -> None:
    """Print a table for each topic; a missed target says MISSED and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="topic", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="see that all run; measure little")
    arguments = parser.parse_args()
    if unknown := set(arguments.topics) - set(NAMES):
        parser.error(f"no topic is called {', '.join(sorted(unknown))}; see --help")
    effort = QUICK if arguments.quick else THOROUGH
    print(
        f"Python {platform.python_version()} on {platform.machine()};"
        " medians of rounds in turns, quartiles in brackets"
    )
    for name in arguments.topics or NAMES:
        if name in TABLES:
            TABLES[name](quick=arguments.quick)
            continue
        topic = TOPICS[name]
        report(topic.TITLE, topic.BASELINE, topic.comparisons(), effort)


if __name__ == "__main__":
    main()
