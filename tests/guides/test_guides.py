import subprocess
import sys

import pytest
from tests.guides.pages import ROOT, pages, pattern, read


@pytest.mark.parametrize("page", ["forty-lines", "wallets"])
def test_a_page_that_is_one_program_runs_in_a_home_of_its_own(page):
    done = subprocess.run(
        [sys.executable, "-m", "tests.guides", "--here", page],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("0 commands, 1 programs, 0 failed\n"), done.stdout
    assert done.returncode == 0


def test_a_page_that_drifts_fails(tmp_path):
    page = tmp_path / "drifted.md"
    page.write_text("```console\n$ dovetail --version\nanother program\n```\n")
    program = f"""
import sys
from pathlib import Path
from tests.guides.pages import read
from tests.guides.running import home, run_command
here = home(Path({str(tmp_path / "home")!r}), Path(sys.executable).parent)
(command,) = read(Path({str(page)!r})).commands
print(run_command(here, command))
"""
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "it does not show 'another program'" in said


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_each_example_is_run_or_says_why_not(path):
    page = read(path)
    blocks = path.read_text().count("```console")
    assert page.commands or page.not_run or page.program or not blocks
    assert all(why.strip() for _, why in page.not_run)


def test_what_differs_from_run_to_run_is_any():
    shown = pattern("23:59:01  It expires in 24h 00m: bitcoin:bcrt1q…?amount=0.0005")
    assert shown.fullmatch("00:00:07  It expires in 23h 59m: bitcoin:bcrt1qabc?amount=0.0005")
    assert not shown.search("00:00:07  It expires in 23h 59m: bitcoin:bcrt1qabc?amount=0.0006")


def test_a_page_is_read_as_its_reader_reads_it(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        "<!-- not run: no node -->\n```console\n$ node\n```\n"
        "```console\n$ first \\\n    --more\nPay this? [y/N]: y\n$ second\n```\n"
        "```python\na = 1\n```\n```python\nb = a\n```\n"
    )
    page = read(path)
    assert page.not_run == [(2, "no node")]
    assert [command.text for command in page.commands] == ["first \\\n    --more", "second"]
    assert page.commands[0].answers == ["y"]
    assert page.program == "a = 1\n\nb = a\n"
