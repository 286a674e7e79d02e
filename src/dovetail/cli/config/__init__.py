"""The configuration: a flag, else a `DOVETAIL_…` variable, else the file, else a default.

`readers` say what a value may look like, `table` lists the keys, `loading` puts them together.
"""

from dovetail.cli.config.loading import default_file as default_file
from dovetail.cli.config.loading import load as load
from dovetail.cli.config.table import KEYS as KEYS
from dovetail.cli.config.table import LOCAL_CHAIN as LOCAL_CHAIN
from dovetail.cli.config.table import LOCAL_MAILROOM as LOCAL_MAILROOM
from dovetail.cli.config.table import PREFIX as PREFIX
from dovetail.cli.config.table import Settings as Settings

__all__ = [
    "KEYS",
    "LOCAL_CHAIN",
    "LOCAL_MAILROOM",
    "PREFIX",
    "Settings",
    "default_file",
    "load",
]
