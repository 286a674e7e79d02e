"""The tree of commands. A command's module is loaded when it is asked for."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

from dovetail.cli import exits
from dovetail.cli.options import common


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is defined, as `module:attribute`, and its help in a line."""

    place: str
    summary: str


ENTRIES = {
    "demo": Entry("demo:demo", "Watch a whole payjoin on this machine, told step by step."),
    "wallet": Entry("wallet:wallet", "Make a wallet and look into it."),
    "receive": Entry("receive:receive", "Ask for a payment and see it through."),
    "send": Entry("send:send", "Pay a Payjoin URI and see the payment through."),
    "pay": Entry("pay:pay", "Pay an address as usual, without a payjoin."),
    "resume": Entry("resume:resume", "Go on with open sessions."),
    "run": Entry("run:run", "Take every session forward, as a service."),
    "history": Entry("history:history", "List sessions, open and closed."),
    "show": Entry("show:show", "Show one session: what happened and what is owed now."),
    "export": Entry("export:export", "Write sessions to a file, to move or to show them."),
    "import": Entry("imports:bring", "Take in sessions that `export` wrote."),
    "cancel": Entry("cancel:cancel", "Stop a payjoin, not the payment."),
    "fallback": Entry("fallback:fallback", "Pay by the ordinary transaction now."),
    "release": Entry("release:release", "Decline to broadcast the fallback."),
    "revoke": Entry("revoke:revoke", "Take a released payment back."),
    "regtest": Entry("regtest:regtest", "Run a chain of your own, for tests and demos."),
    "mailroom": Entry("mailroom:mailroom", "Run a directory, gateway and relay."),
}


class LazyGroup(click.Group):
    """A group whose commands are listed without being loaded."""

    entries: Mapping[str, Entry] = ENTRIES

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a reader needs them."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.place.partition(":")
        command: click.Command = getattr(import_module(f"dovetail.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 still in progress, 4 fallback pending.",
)
@common
@click.version_option(
    package_name="dovetail-payjoin", prog_name="dovetail", message="%(prog)s %(version)s"
)
def app() -> None:
    """Payjoin for Python: private Bitcoin payments that always end in exactly one payment."""


def run() -> None:
    """Run the process's command line."""
    sys.exit(exits.run(app))
