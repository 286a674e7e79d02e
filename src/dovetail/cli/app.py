"""The tree of commands. A command's module is loaded when it is asked for."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

from dovetail.cli import exits
from dovetail.cli.help_layout import Group
from dovetail.cli.options import common


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is defined, as `module:attribute`, and its help in a line."""

    place: str
    summary: str


SECTIONS = {
    "Pay and be paid": {
        "receive": Entry("receive:receive", "Ask for a payment and see it through."),
        "send": Entry("send:send", "Pay a Payjoin URI and see the payment through."),
        "pay": Entry("pay:pay", "Pay an address without a payjoin."),
        "resume": Entry("resume:resume", "Go on with open sessions."),
    },
    "See": {
        "history": Entry("history:history", "List sessions, open and closed."),
        "show": Entry("show:show", "Show one session: what happened and what is still to pay."),
    },
    "Decide": {
        "cancel": Entry("cancel:cancel", "Stop the payjoin, not the payment."),
        "fallback": Entry("fallback:fallback", "Pay now, by the ordinary payment."),
        "release": Entry("release:release", "Don't pay: never broadcast the ordinary payment."),
        "revoke": Entry("revoke:revoke", "Take back a payment that was released."),
    },
    "Move and keep": {
        "wallet": Entry("wallet:wallet", "Make a wallet and look into it."),
        "export": Entry("export:export", "Write sessions to a file, to move or to show them."),
        "import": Entry("import_:bring", "Take in sessions that `export` wrote."),
        "config": Entry("config:config", "Look into the configuration, or begin its file."),
    },
    "Run": {
        "run": Entry("run:run", "Take every session forward, as a service."),
        "mailroom": Entry("mailroom:mailroom", "Run a directory, gateway and relay."),
        "merchant": Entry("merchant:merchant", "Take payments as a shop, over an API."),
        "regtest": Entry("regtest:regtest", "Run a chain of your own, for tests and demos."),
        "demo": Entry("demo:demo", "Watch a whole payjoin on this machine, told step by step."),
        "completion": Entry("completion:completion", "Print the completion script for a shell."),
    },
}
"""The commands by what somebody wants to do."""

ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

SYNONYMS = {
    "abort": "cancel",
    "stop": "cancel",
    "pay-now": "fallback",
    "broadcast": "fallback",
    "decline": "release",
    "refund": "revoke",
    "undo": "revoke",
    "list": "history",
    "ls": "history",
    "sessions": "history",
    "info": "show",
    "status": "show",
    "continue": "resume",
    "daemon": "run",
    "service": "run",
    "invoice": "receive",
    "request": "receive",
    "address": "wallet address",
    "balance": "wallet balance",
    "coins": "wallet coins",
    "new": "wallet new",
    "backup": "wallet backup",
    "transactions": "wallet transactions",
    "settings": "config show",
    "configure": "config init",
    "init": "config init",
    "help": "--help",
}
"""Words that people type, and the command for each."""


class LazyGroup(Group):
    """A group whose commands are listed without being loaded."""

    entries: Mapping[str, Entry] = ENTRIES
    synonyms: Mapping[str, str] = SYNONYMS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a reader needs them."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.place.partition(":")
        command: click.Command = getattr(
            import_module(f"dovetail.cli.commands.{module}"), attribute
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table."""
        longest = max(map(len, self.entries))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{name:<{longest}}", entry.summary) for name, entry in entries.items()]
                )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 still in progress, 4 fallback pending.",
    examples={
        "dovetail demo": "Watch a payjoin, without money and without settings.",
        "dovetail wallet new": "Make a wallet.",
        "dovetail receive 50000": "Ask for 50,000 sats.",
        "dovetail send 'bitcoin:…?amount=0.0005&pj=…'": "Pay a Payjoin URI.",
        "dovetail history": "See what is open and what was paid.",
    },
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
