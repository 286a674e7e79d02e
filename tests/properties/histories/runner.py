"""Run a machine for a number of histories, reproducibly, and say what was found."""

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test
from tests.properties.histories import ledger
from tests.properties.histories.machines import MACHINES

STEPS = 40
"""The most steps before the world calms down."""


@dataclass
class Report:
    machine: str
    histories: int = 0
    steps: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Report") -> Self:
        self.histories += other.histories
        self.steps += other.steps
        self.checked += other.checked
        self.failures += other.failures
        return self


def run(machine: str, histories: int, seeded: str, *, shrink: bool = True) -> Report:
    """At least this many histories; equal seeds give equal histories."""
    kind = MACHINES[machine]
    kind.count = kind.steps = 0
    ledger.checked.clear()
    report, lines = Report(machine), list[object]()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    chosen = settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        with with_reporter(lines.append):
            run_state_machine_as_test(seed(seeded)(kind), settings=chosen)
    except Exception as error:  # noqa: BLE001 - whatever breaks a history is a finding
        told = "".join(traceback.format_exception(error))
        report.failures.append("\n".join([f"{machine}, seed {seeded}", told, *map(str, lines)]))
    report.histories, report.steps = kind.count, kind.steps
    report.checked = Counter(ledger.checked)
    return report
