"""Links between the pages lead somewhere, and each page can be reached from the README."""

import re
from pathlib import Path

import pytest
from tests.guides.pages import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(path: Path) -> list[tuple[Path, str]]:
    """The files that a page links to, each with its anchor."""
    found = _LINK.findall(_FENCED.sub("", path.read_text()))
    parts = (link.partition("#") for link in found if "://" not in link)
    return [((path.parent / name).resolve() if name else path, anchor) for name, _, anchor in parts]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", path.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in headings)
    return {each.replace(" ", "-") for each in plain}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target, anchor in links(path):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), (target, anchor)


def test_each_page_can_be_reached_from_the_readme():
    seen, queue = set(), [ROOT / "README.md"]
    while queue:
        path = queue.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        queue.extend(target for target, _ in links(path))
    assert set(PAGES) - seen == set()
