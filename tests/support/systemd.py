"""What systemd says of units."""

import os
import subprocess
from pathlib import Path


def analyzed(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder), "SYSTEMD_PAGER": ""},
        capture_output=True,
        text=True,
        check=False,
    )
