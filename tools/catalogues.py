"""The catalogues of pages and dashboard: extract the words from code and templates, and compile.

`python -m tools.catalogues` brings each catalogue up to date; `--check` tells what is wrong.
"""

import argparse
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from dovetail.merchant.dashboard.sentences import sentences

PAGES = Path(__file__).parents[1] / "src/dovetail/merchant/pages"
SPOKEN = (PAGES, PAGES.parent / "dashboard")
"""The packages whose words are in the catalogues."""
LOCALE = PAGES / "locale"
DOMAIN = "pages"

_TIME = datetime(2026, 11, 28, tzinfo=UTC)
"""In each header, so that nothing changes but the words."""
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {
    "templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "encoding": "utf-8"}
}
_KEYWORDS = {"phrase": None, "_": None, "gettext": None, "ngettext": (1, 2)}


def template() -> Catalog:
    """All words of the pages and of the dashboard, without translations."""
    made = Catalog(project="Dovetail", version="", charset="utf-8", fuzzy=False)
    for package in SPOKEN:
        found = extract_from_dir(package, _METHODS, _OPTIONS, keywords=_KEYWORDS)
        for _, _, message, comments, context in found:
            made.add(message, None, auto_comments=comments, context=context)
    for sentence in sentences():
        made.add(sentence)
    return made


def catalogues() -> Iterator[Path]:
    """The file of each language."""
    yield from sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def read(path: Path) -> Catalog:
    """A catalogue with its translations."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], domain=DOMAIN)


def compiled(catalogue: Catalog) -> bytes:
    """A catalogue as programs read it."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def update(path: Path) -> None:
    """Bring a catalogue up to date with the words of the pages, and compile it."""
    found = read(path)
    found.update(template(), no_fuzzy_matching=True)
    found.obsolete.clear()
    found.project, found.version = "Dovetail", "pages"
    found.creation_date = found.revision_date = _TIME
    found.last_translator = found.language_team = found.msgid_bugs_address = "Dovetail"
    with path.open("wb") as file:
        write_po(
            file,
            found,
            width=100,
            omit_header=False,
            ignore_obsolete=True,
            no_location=True,
            sort_output=True,
        )
    path.with_suffix(".mo").write_bytes(compiled(found))


def problems(path: Path) -> Iterator[str]:
    """What is wrong with a catalogue."""
    found, wanted = read(path), template()
    known = {message.id: message for message in found if message.id}
    for message in wanted:
        given = known.get(message.id) if message.id else None
        if not message.id:
            continue
        if given is None:
            yield f"{path.name}: missing: {message.id}"
        elif given.fuzzy or not all(
            given.string if isinstance(given.string, tuple) else (given.string,)
        ):
            yield f"{path.name}: not translated: {message.id}"
        else:
            yield from (f"{path.name}: {error}: {message.id}" for error in given.check(found))
    yield from (f"{path.name}: not used: {each}" for each in known.keys() - {m.id for m in wanted})
    if path.with_suffix(".mo").read_bytes() != compiled(found):
        yield f"{path.name}: it was not compiled: run `make words`."


def main() -> int:
    """Update the catalogues, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if not given.check:
        for path in catalogues():
            update(path)
    found = [each for path in catalogues() for each in problems(path)]
    sys.stderr.writelines(f"{each}\n" for each in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
