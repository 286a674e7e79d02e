"""Runs tests against a copy of the source and tells which of them failed, and how."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from xml.etree import ElementTree as ET

from tests.mutants.mutant import ROOT, Mutant, StaleMutant, copy_source

SECONDS_PER_TEST = 60
_FAILED = 1  # pytest's exit status for tests that ran and failed
# What a patch raises that breaks the program instead of being a bug in it.
_BROKEN = re.compile(
    r"(Import|ModuleNotFound|Syntax|Indentation|Name|UnboundLocal|Attribute|Type)Error\b"
)
_HUNG = re.compile(r"(Failed: )?Timeout\b")


@dataclass(frozen=True, slots=True)
class Report:
    """What pytest said: its exit status, and a message for each test that did not pass."""

    status: int
    passed: frozenset[str]
    failures: dict[str, str]
    """Tests that failed while they ran."""
    errors: dict[str, str]
    """Tests that could not be set up or imported."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a mutant was caught by its test, and if not, why not."""

    mutant: Mutant
    problem: str | None
    message: str
    seconds: float


def try_mutant(mutant: Mutant) -> Verdict:
    """Run the mutant's test against the mutant."""
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="dovetail-mutant-") as scratch:
        folder = Path(scratch)
        try:
            mutant.copy(folder / "src")
        except StaleMutant as stale:
            return Verdict(mutant, str(stale), "", monotonic() - began)
        report = run((mutant.caught_by,), folder, "-x")
    problem, message = judge(mutant.caught_by, report)
    return Verdict(mutant, problem, message, monotonic() - began)


def judge(test: str, report: Report) -> tuple[str | None, str]:
    """Why this is no catch, or None; and what the test said."""
    message = report.failures.get(test)
    if message is None:
        if test in report.errors:
            return "its test could not be set up or cleaned up", report.errors[test]
        return ("SURVIVED" if test in report.passed else "its test did not run"), ""
    if report.status != _FAILED:
        return f"pytest ended with status {report.status}", message
    if _HUNG.match(message):
        return "its test hung", message
    if _BROKEN.match(message):
        return "the patch breaks the program instead of being a bug", message
    return None, message


def unmutated(tests: Collection[str]) -> dict[str, str]:
    """Of these tests, those that do not pass against the source as it is, and why."""
    with tempfile.TemporaryDirectory(prefix="dovetail-mutant-") as scratch:
        folder = Path(scratch)
        copy_source(folder / "src")
        report = run(tests, folder)
    not_run = dict.fromkeys(
        set(tests) - report.passed, f"did not run; pytest ended with status {report.status}"
    )
    return not_run | report.errors | report.failures


def run(tests: Collection[str], folder: Path, *options: str) -> Report:
    source, path = folder / "src", folder / "report.xml"
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider"),
        *(f"--timeout={SECONDS_PER_TEST}", f"--basetemp={folder / 'tmp'}"),
        *("-o", f"pythonpath={shlex.quote(str(source))} .", "-o", "junit_family=xunit2"),
        *(f"--junitxml={path}", *options, *tests),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(source)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_PER_TEST * (len(tests) + 1),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Report(-1, frozenset(), {}, {})
    cases = ET.parse(path).findall(".//testcase") if path.exists() else []  # noqa: S314 - pytest's own
    return _read(done.returncode, cases, tests)


def _read(status: int, cases: Collection[ET.Element], tests: Collection[str]) -> Report:
    ids = {_as_reported(test): test for test in tests}
    told: dict[str, dict[str, str]] = {"failure": {}, "error": {}}
    ran: set[str] = set()
    for case in cases:
        reported = f"{case.get('classname')}.{case.get('name')}".partition("[")[0]
        test = ids.get(reported, reported)
        ran.add(test)
        for kind, messages in told.items():
            for found in case.iter(kind):
                messages.setdefault(test, found.get("message") or "without a word")
    passed = ran - told["failure"].keys() - told["error"].keys()
    return Report(status, frozenset(passed), told["failure"], told["error"])


def _as_reported(test: str) -> str:
    """`a/test_b.py::TestC::test_d` as the report has it: `a.test_b.TestC.test_d`."""
    path, _, name = test.partition("::")
    return f"{path.removesuffix('.py').replace('/', '.')}.{name.replace('::', '.')}"
