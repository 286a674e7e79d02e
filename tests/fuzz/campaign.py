"""One target fuzzed for some time in a process of its own, and what came of it."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.fuzz.target import CORPUS, CRASHES, HERE, Target

ROOT = HERE.parent.parent
GROWN = ROOT / ".fuzz"
"""What grows from run to run, a folder for each target; git ignores it."""

INPUT_SECONDS = 5
"""One input that takes longer is a finding: nobody else may make us busy."""
MEGABYTES = 1024
"""As is one that takes more memory than this."""
_PATIENCE = 120
_FIGURES = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_MARKS = ("Error", "Exception", "Broken", "ERROR:", "File ")


@dataclass(frozen=True, slots=True)
class Finding:
    target: str
    file: Path
    words: str

    def told(self) -> str:
        """What to do with it."""
        kept = (CRASHES / self.target / self.file.name).relative_to(ROOT)
        return (
            f"{self.target}: {self.file.relative_to(ROOT)}\n{self.words}\n"
            f"  Make it a test: mkdir -p {kept.parent} && mv {self.file.relative_to(ROOT)} {kept}\n"
            f"  It then fails in `pytest tests/fuzz -k {self.target}` until it is mended. Say\n"
            "  what was wrong in a sentence among the unit tests of the module to blame, too."
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What one target did; `edges` and `features` are libFuzzer's measures of what was reached."""

    executions: int
    seconds: float
    corpus: int
    edges: int
    features: int
    findings: tuple[Finding, ...]


def folder_of(target: Target, kind: str) -> Path:
    folder = GROWN / target.name / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def written(folder: Path, inputs: Iterable[bytes]) -> None:
    """Write each input to a file named by its digest."""
    for each in inputs:
        (folder / sha256(each).hexdigest()[:16]).write_bytes(each)


def fuzz(target: Target, seconds: int) -> Run:
    """Let libFuzzer try inputs for so many seconds, going on from where it was.

    Where an earlier finding still breaks its promise, that is all there is to say.
    """
    folders = [folder_of(target, "corpus"), folder_of(target, "seeds")]
    written(folders[1], map(bytes, target.seeds()))
    if (CORPUS / target.name).is_dir():
        folders.append(CORPUS / target.name)
    begun = time.monotonic()
    crashes = folder_of(target, "crashes")
    if standing := _standing(target, crashes):
        return Run(len(standing), time.monotonic() - begun, 0, 0, 0, standing)
    code, output = work(
        target,
        f"-max_total_time={seconds}",
        f"-artifact_prefix={crashes}/",
        *map(str, folders),
        patience=seconds + _PATIENCE,
    )
    spent = time.monotonic() - begun
    findings = [Finding(target.name, file, _words(output)) for file in sorted(crashes.iterdir())]
    if code and not findings:
        raise SystemExit(f"{target.name} cannot be fuzzed:\n{output[-3000:]}")
    figures = _FIGURES.findall(output)
    edges, features, corpus = map(int, figures[-1]) if figures else (0, 0, 0)
    ran = _EXECUTIONS.search(output)
    return Run(int(ran[1]) if ran else 0, spent, corpus, edges, features, tuple(findings))


def _standing(target: Target, crashes: Path) -> tuple[Finding, ...]:
    """Earlier findings that are not mended; the files of the others are removed."""
    findings: list[Finding] = []
    for file in sorted(crashes.iterdir()):
        code, output = work(target, str(file), patience=_PATIENCE)
        if code:
            findings.append(Finding(target.name, file, _words(output)))
        else:
            file.unlink()
    return tuple(findings)


def work(target: Target, *options: str, patience: float) -> tuple[int, str]:
    scratch = folder_of(target, "scratch")
    limits = [
        f"-max_len={target.longest}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEGABYTES}",
        "-print_final_stats=1",
    ]
    if target.words:
        words = GROWN / target.name / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        limits.append(f"-dict={words}")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.worker", target.name, *limits, *options],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(scratch), "PYTHONPATH": "src"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        raise SystemExit(f"{target.name} did not end in time:\n{said[-3000:]}") from error
    finally:
        # libFuzzer ends the process without a word to Python, which then cleans nothing up.
        shutil.rmtree(scratch, ignore_errors=True)
    return ended.returncode, ended.stdout.decode(errors="replace")


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _words(output: str) -> str:
    """The lines that tell what happened: the end of the traceback, or libFuzzer's verdict."""
    lines = [line for line in output.splitlines() if any(mark in line for mark in _MARKS)]
    return "\n".join(f"    {line.strip()}" for line in lines[-8:])
