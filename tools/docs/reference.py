"""Writes the generated pages of `docs/reference`, or checks that they are current.

`cli.md` comes from the commands themselves, `dovetail.1` likewise for `man`, `codes.md` from what
they print for programs, `states.md` from the sessions' tables, `api.md` from the signatures and
docstrings of the public names.

`python -m tools.docs.reference [--check]`, in the root of the repository.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from dovetail.cli import mailroom_settings, merchant_settings
from dovetail.cli.app import app
from dovetail.cli.config import KEYS, PREFIX
from dovetail.cli.exits import MEANINGS
from dovetail.cli.help_layout import Command
from dovetail.cli.options import JsonOption
from tools.docs import api_page, codes_page, man_page, states_page
from tools.docs.commands import walk

FOLDER = Path("docs/reference")

_HEAD = """\
# The command line

<!-- Written by `python -m tools.docs.reference`; edit the commands instead. -->

Results go to stdout and talk to stderr, so that a pipe gets the URI, the address or the JSON and
nothing else. [Codes](codes.md) tell programs where a session stands, how it ended and what went
wrong. Flags win over `DOVETAIL_…` variables, those over the configuration file, and the file over
the defaults. `NO_COLOR` is honoured, and so are `COLUMNS` and `LINES`.

On a terminal, lines are wrapped at words and tables fit the width; in a pipe they stay whole. A
terminal that has only ASCII gets only that.

Tab completes commands, options and the numbers of sessions once the shell knows how:

- bash: `eval "$(dovetail completion bash)"` in `~/.bashrc`
- zsh: `eval "$(dovetail completion zsh)"` in `~/.zshrc`, after `autoload -Uz compinit && compinit`
- fish: `dovetail completion fish > ~/.config/fish/completions/dovetail.fish` (make its folder)

The same page as this comes with the package for `man dovetail`; in a virtual environment it is
`man "$VIRTUAL_ENV/share/man/man1/dovetail.1"`.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, _exit_codes(), _configuration(), _commands_of(app)]
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = "\n".join(f"| {code.value} | {words} |" for code, words in MEANINGS.items())
    return f"## Exit codes\n\n| code | meaning |\n|---|---|\n{rows}\n"


def _configuration() -> str:
    rows = "\n".join(
        f"| `{key.name}` | `{key.variable}` | {key.default_words} | {key.words} |" for key in KEYS
    )
    of_shop = "\n".join(
        f"| `{key.name}` | {key.default_words} | {key.words} |" for key in merchant_settings.KEYS
    )
    of_mailroom = "\n".join(
        f"| `{key.name}` | `{key.variable}` | {key.default_words} | {key.words} |"
        for key in mailroom_settings.KEYS.values()
    )
    return f"""\
## Configuration

`config.toml` in the platform's configuration directory (on Linux `~/.config/dovetail/`), or the
file that `--config` or `{PREFIX}CONFIG` names. `dovetail config init` begins one, `dovetail config
show` shows what holds and who says so. A key that is not in this table is refused.
Durations are seconds, or a number with `s`, `m`, `h`, `d` or `w` after it.

| key | variable | default | meaning |
|---|---|---|---|
{rows}

The table `[merchant]` is for [a shop's processes](../guides/shop-operations.md), which
`dovetail merchant init` sets up. Its keys have no variables; options win over them.

| key of `[merchant]` | default | meaning |
|---|---|---|
{of_shop}

The table `[mailroom]` is for [a mailroom of your own](../guides/mailroom.md), which
`dovetail mailroom serve` runs. Options win over variables, and those over the table.

| key of `[mailroom]` | variable | default | meaning |
|---|---|---|---|
{of_mailroom}
"""


def _commands_of(group: click.Group) -> str:
    common = [parameter.name for parameter in group.params]
    parts = [_section(("dovetail",), group, ())]
    parts += [_section(path, command, common) for path, command in walk(group, ("dovetail",))]
    return "\n".join(parts)


def _section(path: tuple[str, ...], command: click.Command, common: Sequence[str | None]) -> str:
    name = " ".join(path)
    context = click.Context(command, info_name=name)
    words = " ".join(command.collect_usage_pieces(context))
    text = inspect.cleandoc(command.help or "")
    parts = [f"## `{name}`\n", f"```\n{name} {words}\n```\n", f"{text}\n"]
    options = [
        _option(parameter, context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        and parameter.name not in common
        and "--help" not in parameter.opts
    ]
    if options:
        parts.append("| option | meaning |\n|---|---|\n" + "\n".join(options) + "\n")
    if isinstance(command, Command) and command.examples:
        rows = "\n".join(f"{line}  # {words}" for line, words in command.examples.items())
        parts.append(f"Examples:\n\n```sh\n{rows}\n```\n")
    json_options = [each for each in command.params if isinstance(each, JsonOption)]
    for option in json_options:
        rows = "\n".join(f"| `{key}` | {words} |" for key, words in option.keys.items())
        parts.append(f"| key of `{option.opts[0]}` | meaning |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    names, words = record if record is not None else (", ".join(option.opts), option.help or "")
    return f"| `{names.replace('|', ' or ')}` | {words} |"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": page,
    "codes.md": codes_page.page,
    "states.md": states_page.page,
    "api.md": api_page.page,
    "dovetail.1": man_page.page,
}
"""Each generated page and what writes it."""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` compare them; the exit code."""
    fresh = {FOLDER / name: write() for name, write in PAGES.items()}
    if "--check" not in arguments:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for path, text in fresh.items():
            path.write_text(text)
            click.echo(f"Wrote {path}.", err=True)
        return 0
    stale = [path for path, text in fresh.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        click.echo(f"{path} is not what the code says: run `make docs`.", err=True)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
