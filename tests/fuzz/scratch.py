"""A place for the files that a target's code has to read from a disk."""

import atexit
import tempfile
from functools import cache
from pathlib import Path
from shutil import rmtree


@cache
def folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="dovetail-fuzz-"))
    atexit.register(rmtree, made, ignore_errors=True)
    return made
