"""Each decision has one page, whose title is in the index."""

import re

import pytest
from tests.guides.pages import ROOT

FOLDER = ROOT / "docs/adr"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
INDEX = dict(
    re.findall(
        r"^\| \[\d{4}\]\(([^)]+)\) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_in_the_index_by_its_number_and_title(path):
    title = path.read_text().split("\n", 1)[0]
    assert title == f"# {path.name[:4]}. {INDEX[path.name]}"


def test_the_index_names_no_page_that_is_not_there():
    assert INDEX.keys() == {path.name for path in PAGES}


def test_no_two_pages_have_one_number():
    assert len({path.name[:4] for path in PAGES}) == len(PAGES)
