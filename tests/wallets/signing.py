"""A wallet asked for all that it can sign."""

from dovetail.bitcoin import Psbt
from dovetail.wallets.ports import Wallet


def sign_all(wallet: Wallet, psbt: Psbt) -> Psbt:
    """The PSBT with every input signed that is the wallet's own."""
    return wallet.sign(psbt, inputs=psbt.unsigned_transaction.contested())
