"""Deliberate bugs, each in a small file of its own, and how one gets into a copy of the source.

A file `<layer>/<name>.toml` holds the `rule` the bug breaks (M1 to P5, a BIP, or `defect n` by the
numbers of docs/concepts/defects.md), `what` it is in a sentence, the `file` under
`src/dovetail`, the `old` text that is there exactly once, the `new` one, and the test that has to
notice: `caught_by`, as pytest names it.
"""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
HERE = Path(__file__).parent


class StaleMutant(Exception):
    """The source has moved on and the patch does not fit any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One deliberate bug."""

    name: str
    rule: str
    what: str
    file: str
    old: str
    new: str
    caught_by: str

    def mutated(self, text: str) -> str:
        """The text with the bug in it; raises `StaleMutant` unless `old` is there exactly once."""
        found = text.count(self.old)
        if found != 1 or self.old == self.new:
            raise StaleMutant(
                f"{self.name} is stale: its old text is {found} times in {self.file}. Bring"
                " tests/mutants up to date."
            )
        return text.replace(self.old, self.new)

    def copy(self, folder: Path) -> None:
        """Put a copy of the source with the bug in it into `folder`; raises `StaleMutant`."""
        text = self.mutated((SOURCE / "dovetail" / self.file).read_text())
        copy_source(folder)
        place = folder / "dovetail" / self.file
        for compiled in (place.parent / "__pycache__").glob(f"{place.stem}.*"):
            compiled.unlink()
        place.write_text(text)


def copy_source(folder: Path) -> None:
    """Put a copy of the source into `folder`."""
    shutil.copytree(SOURCE / "dovetail", folder / "dovetail")


def mutants() -> tuple[Mutant, ...]:
    """All of them, layer by layer."""
    return tuple(
        Mutant(name=path.stem, **tomllib.loads(path.read_text()))
        for path in sorted(HERE.glob("*/*.toml"))
    )
