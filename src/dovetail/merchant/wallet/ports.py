"""The signer as the server and the workers see it."""

from collections.abc import Collection, Mapping
from typing import Protocol

from dovetail.bitcoin import OutPoint, Psbt, Transaction
from dovetail.merchant.keychains import Keychain


class Signer(Protocol):
    """Holds the keys, in a process of its own. Each method blocks and raises `WalletError`."""

    def descriptors(self) -> tuple[str, str | None]:
        """Return the public descriptors of the wallet that it signs for: hot and cold."""
        ...

    def open(self, session: str, *, demand: int) -> None:
        """Register a session, by a name, and the satoshis that it must bring; the first counts."""
        ...

    def sign(
        self,
        session: str,
        psbt: Psbt,
        *,
        inputs: Mapping[OutPoint, int],
        outputs: Mapping[int, tuple[Keychain, int]],
        fallback: Transaction,
        fallback_index: int,
    ) -> Psbt:
        """Sign these inputs, each with the index of its key, if the signer's own checks allow it.

        `outputs` says which outputs are the wallet's, by keychain and index; the signer derives
        their scripts itself. `fallback` is the payment without a payjoin, to the hot script at
        `fallback_index`. Raises `SignerRefused` where a check fails.
        """
        ...

    def sweep(
        self,
        psbt: Psbt,
        *,
        inputs: Mapping[OutPoint, int],
        outputs: Mapping[int, tuple[Keychain, int]],
    ) -> Psbt:
        """Sign a transaction that pays the cold wallet alone; raises `SignerRefused`."""
        ...

    def holders(self, coins: Collection[OutPoint]) -> Mapping[OutPoint, str]:
        """Return which sessions hold these coins for the signer."""
        ...

    def release(self, session: str) -> None:
        """Give back the coins of a session that is over."""
        ...

    def queue(
        self,
        payment: str,
        psbt: Psbt,
        *,
        inputs: Mapping[OutPoint, int],
        outputs: Mapping[int, tuple[Keychain, int]],
        replaces: str | None = None,
    ) -> None:
        """Ask the owner to approve a payment to somebody else; `outputs` are the wallet's own.

        The same request may come again; another payment of that name is refused. A payment that
        only raises the fee of `replaces`, which was approved, needs no approval. Raises
        `SignerRefused`.
        """
        ...

    def queued(self, payment: str) -> Psbt | None:
        """Return the signed payment once it was approved, the same each time; None before."""
        ...

    def withdraw(self, payment: str) -> None:
        """Let nobody approve or sign a payment any more; one that is unknown is ignored."""
        ...
