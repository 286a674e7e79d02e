"""What fuzzing found worth keeping, without the fuzzer: seeds, corpus and past crashes."""

import pytest
from tests.fuzz.registry import TARGETS
from tests.fuzz.target import CORPUS, CRASHES, Target


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_kept_input_breaks_a_promise(target: Target) -> None:
    for path in target.kept():
        try:
            target.run(path.read_bytes())
        except BaseException as error:
            error.add_note(f"The input is tests/fuzz/{path.relative_to(CORPUS.parent)}.")
            raise


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_target_can_begin(target: Target) -> None:
    seeds = [bytes(seed) for seed in target.seeds()]
    assert seeds
    for seed in seeds[:12]:
        target.run(seed)


@pytest.mark.parametrize("folder", [CORPUS, CRASHES])
def test_every_kept_folder_belongs_to_a_target(folder):
    assert {path.name for path in folder.glob("*") if path.is_dir()} <= TARGETS.keys()


def test_the_kept_corpus_stays_small():
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) <= 300_000
