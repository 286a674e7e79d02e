"""The configuration: a flag, else a `DOVETAIL_…` variable, else the file, else a default.

`readers` say what a value may look like, `table` lists the keys, `file` reads the file, `loading`
puts them together, `template` begins a file.
"""

from dovetail.cli.config.file import File as File
from dovetail.cli.config.file import default_file as default_file
from dovetail.cli.config.file import find as find
from dovetail.cli.config.file import read as read
from dovetail.cli.config.loading import Found as Found
from dovetail.cli.config.loading import load as load
from dovetail.cli.config.loading import look_up as look_up
from dovetail.cli.config.loading import look_up_table as look_up_table
from dovetail.cli.config.table import KEYS as KEYS
from dovetail.cli.config.table import LOCAL_CHAIN as LOCAL_CHAIN
from dovetail.cli.config.table import LOCAL_MAILROOM as LOCAL_MAILROOM
from dovetail.cli.config.table import PREFIX as PREFIX
from dovetail.cli.config.table import Key as Key
from dovetail.cli.config.table import Settings as Settings
from dovetail.cli.config.template import template as template
