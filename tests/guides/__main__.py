"""Runs every command and program of README and the guides: `make guides`.

`python -m tests.guides [--here] [PAGE ...]`, in the root of the repository. Each page gets
a home of its own. Unless `--here`, the package is installed by README's own line into a fresh
environment.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.guides.pages import ROOT, Page, pages, read
from tests.guides.running import Home, home, run_command, run_program

INSTALL = "pip install '.[cli,mailroom,regtest]'"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guides")
    parser.add_argument("--here", action="store_true", help="use the environment that runs this")
    parser.add_argument("pages", nargs="*", help="parts of their names; all unless given")
    given = parser.parse_args(arguments)
    chosen = [
        path
        for path in pages()
        if not given.pages or any(part in path.name for part in given.pages)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = Path(sys.executable).parent if given.here else install(folder)
        done = [run_page(read(path), folder / path.stem, programs) for path in chosen]
    commands, programs_run, failed = (sum(column) for column in zip(*done, strict=True))
    print(f"{commands} commands, {programs_run} programs, {failed} failed")  # noqa: T201
    return int(failed > 0 or commands + programs_run == 0)


def install(folder: Path) -> Path:
    """A fresh environment, with the package installed from a copy of the checkout."""
    copy, venv = folder / "checkout", folder / "venv"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for each in filter(None, listed.split("\0")):
        if (ROOT / each).is_file():
            (copy / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / each, copy / each)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    print(f"$ {INSTALL}", flush=True)  # noqa: T201
    subprocess.run(
        ["/bin/sh", "-c", INSTALL.replace("install", "install --quiet", 1)],
        cwd=copy,
        env=os.environ | {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    return venv / "bin"


def run_page(page: Page, folder: Path, programs: Path) -> tuple[int, int, int]:
    """How many commands and programs were run, and how many of them failed."""
    name = page.path.relative_to(ROOT)
    for line, why in page.not_run:
        print(f"{name}:{line}: not run: {why}")  # noqa: T201
    commands = failed = 0
    here = home(folder, programs)
    try:
        for command in page.commands:
            if command.text == INSTALL:  # it has been run: all the rest stands on it
                commands += 1
                continue
            began = time.monotonic()
            problem = run_command(here, command)
            commands += 1
            tell(f"{name}:{command.line}", command.text, problem, began)
            if problem is not None:
                failed += 1
                break  # what follows on the page stands on it
    finally:
        here.leave()
    ran, broken = run_programs(page, here, str(name))
    return commands, ran, failed + broken


def run_programs(page: Page, here: Home, name: str) -> tuple[int, int]:
    if not page.program:
        return 0, 0
    began = time.monotonic()
    problem = run_program(here, page)
    tell(name, "its Python, from top to bottom", problem, began)
    return 1, int(problem is not None)


def tell(place: str, what: str, problem: str | None, began: float) -> None:
    verdict = "ok" if problem is None else f"FAILED: {problem}"
    print(f"{place}: {what} ({time.monotonic() - began:.1f} s): {verdict}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
