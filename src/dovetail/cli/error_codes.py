"""Error codes for programs: `--json` and `--events` print an error as an object."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from dovetail import errors
from dovetail.errors import DovetailError

CODES: Mapping[type[DovetailError], str] = MappingProxyType(
    {
        DovetailError: "error",
        errors.ParseError: "unreadable",
        errors.InvalidAmount: "invalid-amount",
        errors.InvalidAddress: "invalid-address",
        errors.InvalidTransaction: "invalid-transaction",
        errors.InvalidPsbt: "invalid-psbt",
        errors.InvalidUri: "invalid-uri",
        errors.InvalidKey: "invalid-key",
        errors.InvalidBhttp: "invalid-bhttp",
        errors.InvalidOhttp: "invalid-ohttp",
        errors.InvalidMessage: "invalid-message",
        errors.UnsupportedVersion: "unsupported-version",
        errors.UsageError: "refused",
        errors.ContextUsedUp: "context-used-up",
        errors.AlreadySaved: "already-saved",
        errors.InvalidEvent: "invalid-event",
        errors.PayloadTooLarge: "payload-too-large",
        errors.FeeTooHigh: "fee-too-high",
        errors.ConfigurationError: "configuration",
        errors.CounterpartyError: "counterparty",
        errors.DecryptionError: "decryption",
        errors.OriginalRejected: "original-rejected",
        errors.ProposalRejected: "proposal-rejected",
        errors.InfrastructureError: "infrastructure",
        errors.TransportError: "transport",
        errors.ChainError: "chain",
        errors.WalletError: "wallet",
        errors.InsufficientFunds: "insufficient-funds",
        errors.WalletLocked: "wallet-locked",
        errors.WrongPassphrase: "wrong-passphrase",
        errors.StoreError: "store",
        errors.StaleSession: "stale-session",
        errors.SessionNotFound: "session-not-found",
        errors.DuplicateSession: "duplicate-session",
        errors.CoinsTaken: "coins-taken",
        errors.StoreUnavailable: "store-unavailable",
        errors.ReplayError: "damaged",
    }
)
"""The code of each error that Dovetail raises. They are stable: scripts read them."""

COMMAND_LINE, STOPPED, MISSING, SYSTEM, FAULT = (
    "command-line",
    "stopped",
    "missing-package",
    "system",
    "fault",
)
OTHERS: Mapping[str, str] = MappingProxyType(
    {
        COMMAND_LINE: "The command line is wrong: an option, an argument or a command.",
        STOPPED: "Somebody stopped the command, or said no, before anything was done.",
        MISSING: "A package that the command needs is not installed.",
        SYSTEM: "The system refused to go on, such as for want of space or permission.",
        FAULT: "Dovetail has a bug.",
    }
)
"""The codes of what else ends a command, and what they mean."""

KEYS = {
    "code": "what went wrong, as a code",
    "message": "the same in words, and what to do next",
    "exit_code": "the exit code",
}
"""Of the object under the key `error`."""


def code_of(error: DovetailError) -> str:
    """The code of an error, or of the nearest kind of error that has one."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def asked_for(arguments: Sequence[str]) -> bool:
    """Whether a program reads what is printed; before the command line is known to be right."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options or "--events" in options


def tell(code: str, message: str, exit_code: int) -> None:
    """Print the object on stdout."""
    told = {"code": code, "message": message, "exit_code": exit_code}
    click.echo(json.dumps({"error": told}))
