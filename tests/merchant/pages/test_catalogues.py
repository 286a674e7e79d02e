"""Every word of the pages is in every language, and compiled."""

import pytest
from tools.catalogues import catalogues, compiled, problems, read

from dovetail.merchant.pages.language import NAMES, USUAL


def test_there_is_a_catalogue_for_each_language_but_the_usual_one() -> None:
    assert {path.parts[-3] for path in catalogues()} == set(NAMES) - {USUAL}


@pytest.mark.parametrize("path", tuple(catalogues()), ids=lambda path: path.parts[-3])
def test_a_catalogue_is_complete_and_compiled(path) -> None:
    assert list(problems(path)) == []


@pytest.mark.parametrize("path", tuple(catalogues()), ids=lambda path: path.parts[-3])
def test_what_is_missing_in_a_catalogue_is_told(path, tmp_path) -> None:
    text = path.read_text().replace('msgid "Paid"', 'msgid "Payed"')
    copy = tmp_path / "de" / "LC_MESSAGES" / path.name
    copy.parent.mkdir(parents=True)
    copy.write_text(text)
    copy.with_suffix(".mo").write_bytes(compiled(read(path)))
    assert [each.split(": ", 1)[1] for each in problems(copy)] == [
        "missing: Paid",
        "not used: Payed",
        "it was not compiled: run `make words`.",
    ]
