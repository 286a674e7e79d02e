"""A chain, a mailroom and wallets with coins: real ones, on loopback."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.bdk import bdk_wallet

from dovetail.bitcoin import Network
from dovetail.mailroom import MailroomServer, MailroomSettings
from dovetail.regtest import RegtestServer
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.esplora.chain import EsploraChain


@dataclass(frozen=True, slots=True)
class Loopback:
    """What both parties share."""

    regtest: RegtestServer
    mailroom: MailroomServer
    chain: EsploraChain
    folder: Path

    def wallet(self, name: str, *values: int) -> BdkWallet:
        home = self.folder / name
        home.mkdir()
        return bdk_wallet(home / "wallet", self.regtest, *values)


@contextmanager
def open_loopback(folder: Path, settings: MailroomSettings | None = None) -> Generator[Loopback]:
    """A fresh chain of 110 blocks and an empty mailroom."""
    with (
        RegtestServer() as regtest,
        MailroomServer(settings) as mailroom,
        EsploraChain(regtest.url, Network.REGTEST) as chain,
    ):
        yield Loopback(regtest, mailroom, chain, folder)
