"""Chromium, which the tests of the pages need: `python -m tools.chromium [--needed]`.

It is found in `CHROMIUM` or on PATH. Where it is missing, root gets Debian's package; anybody else
is told the one command. With `--needed` it is an error that there is none in the end.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

NAMES = ("chromium", "chromium-browser", "google-chrome")
APT = ("apt-get", "-qq", "-o", "Dpkg::Use-Pty=0")
PATIENCE = 600
"""Seconds for one command of the package manager."""
INSTALL = "apt-get install -y --no-install-recommends chromium"


def found() -> str | None:
    """Where the browser is; None: there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def main(words: Sequence[str]) -> int:
    """Install it if that can be done, and say what is missing."""
    if found() or (_can_install() and _install() and found()):
        return 0
    needed = "--needed" in words
    without = "The demo needs it." if needed else "The tests of the pages are not run without it."
    sudo = "" if os.geteuid() == 0 else "sudo "
    print(  # noqa: T201
        f"There is no Chromium. {without} Install it with '{sudo}{INSTALL}', or name one in"
        " CHROMIUM.",
        file=sys.stderr,
    )
    return int(needed)


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which(APT[0]) is not None


def _install() -> bool:
    print("Installing Chromium (once) ...", flush=True)  # noqa: T201
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    _run([*APT, "update"], quiet)  # a list from before may do
    return _run([*APT, *INSTALL.split()[1:]], quiet)


def _run(words: Sequence[str], variables: dict[str, str]) -> bool:
    try:
        subprocess.run(  # noqa: S603
            words,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
