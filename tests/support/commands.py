"""Commands as real processes."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import PATIENCE

_DROP_FROM_BOUNDING_SET = 24
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "dovetail.cli", *words]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    return dict(os.environ) | dict(settings)


def without_privilege() -> None:
    """Let file modes hold for root as well: called between fork and exec."""
    libc = ctypes.CDLL(None)
    for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


def run(
    settings: Mapping[str, str],
    *words: str,
    before: Callable[[], None] | None = None,
    measured: bool = True,
) -> subprocess.CompletedProcess[str]:
    variables = environment(settings)
    if not measured:
        variables = {name: value for name, value in variables.items() if "COV" not in name}
    return subprocess.run(
        command(*words),
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=before,
    )


@contextmanager
def running(
    settings: Mapping[str, str], *words: str, folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; its talk is in `folder`/stderr."""
    folder.mkdir(exist_ok=True)
    with (folder / "stderr").open("w") as said:
        process = subprocess.Popen(
            command(*words),
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
