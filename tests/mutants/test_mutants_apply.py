"""Every mutant still fits the source and names a test that is there; `make mutants` runs them."""

from dataclasses import replace
from importlib import import_module
from operator import attrgetter
from xml.etree import ElementTree as ET

import pytest
from tests.mutants.mutant import HERE, ROOT, SOURCE, Mutant, StaleMutant, mutants
from tests.mutants.trial import Report, _read, judge

MUTANTS = mutants()
TEST = "tests/some/test_part.py::test_a_thing"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source_and_is_still_a_program(mutant: Mutant) -> None:
    compile(mutant.mutated((SOURCE / "dovetail" / mutant.file).read_text()), mutant.name, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_names_a_test_that_is_there(mutant: Mutant) -> None:
    path, _, name = mutant.caught_by.partition("::")
    assert (ROOT / path).is_file()
    module = import_module(path.removesuffix(".py").replace("/", "."))
    assert callable(attrgetter(name.replace("::", "."))(module))


def test_mutants_are_many_and_their_names_differ() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 25


def test_every_rule_has_a_mutant_that_breaks_it() -> None:
    broken = {rule for mutant in MUTANTS for rule in mutant.rule.split(", ")}
    assert broken >= {f"{kind}{number}" for kind in "MP" for number in range(1, 6)}


def test_a_mutant_lies_with_the_layer_it_is_about() -> None:
    for mutant in MUTANTS:
        assert (HERE / mutant.file.split("/")[0] / f"{mutant.name}.toml").is_file()


@pytest.mark.parametrize("text", ["something else", "one = 1\none = 1\n"])
def test_a_patch_that_does_not_fit_once_is_stale(text: str) -> None:
    mutant = replace(MUTANTS[0], old="one = 1", new="one = 2")
    with pytest.raises(StaleMutant, match="is stale"):
        mutant.mutated(text)
    assert mutant.mutated("one = 1\n") == "one = 2\n"


def test_a_patch_that_changes_nothing_is_stale() -> None:
    with pytest.raises(StaleMutant):
        replace(MUTANTS[0], old="one = 1", new="one = 1").mutated("one = 1\n")


def test_what_pytest_reports_is_told_by_the_names_of_the_tests() -> None:
    cases = ET.fromstring(  # noqa: S314 - our own text
        "<suite><testcase classname='tests.some.test_part' name='test_a_thing[1]'/>"
        "<testcase classname='tests.some.test_part' name='test_a_thing[2]'>"
        "<failure message='assert 1 == 2'/></testcase>"
        "<testcase classname='tests.some.test_part.TestIt' name='test_it'/></suite>"
    )
    inherited = "tests/some/test_part.py::TestIt::test_it"
    report = _read(1, list(cases), (TEST, inherited))
    assert report == Report(1, frozenset({inherited}), {TEST: "assert 1 == 2"}, {})


def test_a_failure_of_the_named_test_is_a_catch() -> None:
    report = Report(1, frozenset(), {TEST: "AssertionError: assert 1 == 2"}, {})
    assert judge(TEST, report) == (None, "AssertionError: assert 1 == 2")


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        (Report(0, frozenset({TEST}), {}, {}), "SURVIVED"),
        (Report(1, frozenset(), {"another": "AssertionError"}, {}), "did not run"),
        (Report(4, frozenset(), {}, {}), "did not run"),
        (Report(1, frozenset(), {}, {TEST: "fixture failed"}), "set up"),
        (Report(2, frozenset(), {TEST: "AssertionError"}, {}), "status 2"),
        (Report(1, frozenset(), {TEST: "Failed: Timeout (>60.0s) from pytest"}, {}), "hung"),
        (Report(1, frozenset(), {TEST: "ImportError: cannot import"}, {}), "breaks the program"),
        (Report(1, frozenset(), {TEST: "NameError: name 'x'"}, {}), "breaks the program"),
    ],
)
def test_nothing_else_is_a_catch(report: Report, problem: str) -> None:
    found, _ = judge(TEST, report)
    assert found is not None
    assert problem in found
