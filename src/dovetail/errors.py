"""Every exception Dovetail raises on purpose.

The tree says whose fault it was, because that decides what to do next::

    DovetailError
    ├── ParseError                  bytes or text are malformed
    │   ├── InvalidAmount               an amount or fee rate out of range
    │   ├── InvalidAddress              an address or script
    │   ├── InvalidTransaction          a transaction, txid or outpoint
    │   ├── InvalidPsbt                 a PSBT (BIP 174, BIP 371)
    │   ├── InvalidUri                  a BIP 21 / BIP 321 or Payjoin URI
    │   ├── InvalidKey                  a secp256k1 key or point
    │   ├── InvalidBhttp                a Binary HTTP message (RFC 9292)
    │   ├── InvalidOhttp                an OHTTP message or key configuration (RFC 9458)
    │   └── InvalidMessage              a BIP 77 mailbox message or its parameters
    │       └── UnsupportedVersion          a version of payjoin that is not supported
    ├── UsageError                  ours: the caller asked for something impossible
    │   ├── ContextUsedUp               a one-shot cryptographic context was used again
    │   ├── AlreadySaved                a transition was saved twice
    │   ├── InvalidEvent                an event does not belong to this state
    │   ├── PayloadTooLarge             a message does not fit its fixed size on the wire
    │   ├── FeeTooHigh                  a proposal's fee is more than the receiver accepts to pay
    │   └── ConfigurationError          a setting is missing or wrong
    ├── CounterpartyError           theirs: the other party broke the protocol
    │   ├── DecryptionError             a ciphertext does not open
    │   ├── OriginalRejected            the Original PSBT fails a check of BIP 78
    │   └── ProposalRejected            the Proposal PSBT fails a check of BIP 78
    ├── InfrastructureError         nobody's: worth another try
    │   ├── TransportError              a relay, directory or peer did not answer properly
    │   ├── ChainError                  the chain source did not answer properly
    │   └── WalletError                 the wallet could not do what was asked
    │       ├── InsufficientFunds           not enough coins
    │       ├── WalletLocked                its keys are encrypted, and no passphrase was given
    │       └── WrongPassphrase             the passphrase is wrong
    └── StoreError                  the durable log
        ├── StaleSession                another handle has moved this session on
        ├── SessionNotFound             no session has this id
        ├── DuplicateSession            this URI or receiver key already has a session
        ├── CoinsTaken                  another live session holds one of the coins
        ├── StoreUnavailable            the store is full, locked, read-only or gone
        └── ReplayError                 a log cannot be read; it is left as it is
"""

from collections.abc import Collection
from typing import Literal, TypeAlias

from dovetail.actions import Action


class DovetailError(Exception):
    """The root: one sentence that says what happened and what to do next.

    A parameter or a setting stands in backticks, under its name in Python. `actions` are what a
    person can do about it, and `session` is the id of the session for which they are, where it is
    known: a command line makes commands of them, a page buttons.
    """

    actions: frozenset[Action]
    session: object

    def __init__(
        self, message: str = "", *, actions: Collection[Action] = (), session: object = None
    ) -> None:
        super().__init__(message)
        self.actions = frozenset(actions)
        self.session = session


class ParseError(DovetailError, ValueError):
    """Bytes or text are malformed."""


class InvalidAmount(ParseError):
    """An amount, fee rate or weight is out of range."""


class InvalidAddress(ParseError):
    """Text is not a Bitcoin address, or a script has none."""


class InvalidTransaction(ParseError):
    """Bytes are not a Bitcoin transaction, txid or outpoint."""


class InvalidPsbt(ParseError):
    """Bytes are not a PSBT, or a PSBT does not allow an operation."""


class InvalidUri(ParseError):
    """Text is not a Bitcoin or Payjoin URI."""


class InvalidKey(ParseError):
    """Bytes are not a secp256k1 key."""


class InvalidBhttp(ParseError):
    """Bytes are not a known-length Binary HTTP message."""


class InvalidOhttp(ParseError):
    """Bytes are not an Oblivious HTTP message or key configuration."""


class InvalidMessage(ParseError):
    """Bytes are not a BIP 77 mailbox message."""


class UnsupportedVersion(InvalidMessage):
    """The sender asked for a version of payjoin other than the `supported` ones."""

    def __init__(self, supported: tuple[int, ...]) -> None:
        super().__init__(
            "The sender asks for a version of payjoin that is not supported; "
            "answer version-unsupported."
        )
        self.supported = supported


class UsageError(DovetailError):
    """The caller asked for something impossible; nothing was changed."""


class ContextUsedUp(UsageError):
    """A one-shot cryptographic context was used a second time (P1)."""


class AlreadySaved(UsageError):
    """A transition was saved twice."""


class InvalidEvent(UsageError):
    """An event does not belong to the state it was applied to."""


class PayloadTooLarge(UsageError):
    """A message does not fit its fixed size on the wire."""


class FeeTooHigh(UsageError):
    """A proposal needs a higher fee than the receiver accepts or can pay."""


class ConfigurationError(UsageError):
    """A setting is missing or wrong; the message names it."""


class CounterpartyError(DovetailError):
    """The other party broke the protocol."""


class DecryptionError(CounterpartyError):
    """A ciphertext was made for another key, or was changed."""


class OriginalRejected(CounterpartyError):
    """The Original PSBT fails a check of BIP 78."""


class ProposalRejected(CounterpartyError):
    """The Proposal PSBT fails a check of BIP 78; `rule` names the check."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class InfrastructureError(DovetailError):
    """Something between the parties failed; nothing is lost and a retry may succeed."""


At: TypeAlias = Literal["relay", "directory", "receiver", "tor"]


class TransportError(InfrastructureError):
    """A relay, directory or peer did not answer properly; `at` names it, if it is known."""

    at: At | None

    def __init__(self, message: str, *, at: At | None = None) -> None:
        super().__init__(message)
        self.at = at


class ChainError(InfrastructureError):
    """The chain source did not answer properly."""


class WalletError(InfrastructureError):
    """The wallet could not do what was asked."""


class InsufficientFunds(WalletError):
    """The wallet does not have enough spendable coins."""


class WalletLocked(WalletError):
    """The wallet's keys are encrypted, and no passphrase was given."""


class WrongPassphrase(WalletError):
    """The passphrase does not open the wallet or file."""


class StoreError(DovetailError):
    """The durable log could not do what was asked."""


class StaleSession(StoreError):
    """Another handle has already moved this session on; reload it (M5)."""


class SessionNotFound(StoreError):
    """No session has this id."""


class DuplicateSession(StoreError):
    """This URI or receiver key already has a session."""


class CoinsTaken(StoreError):
    """Another live session holds one of the coins; choose others (P3)."""


class StoreUnavailable(StoreError):
    """The store is full, locked, read-only or unreachable.

    Nothing was written, unless the message says that this is unknown: then load the session again.
    """


class ReplayError(StoreError):
    """A log cannot be read; it is left as it is, and no other session is affected.

    `session` is the session's id in the store and `seq` the number of the entry from 0; either is
    None if it is unknown.
    """

    def __init__(self, message: str, *, session: object = None, seq: int | None = None) -> None:
        super().__init__(message, session=session)
        self.seq = seq
