"""The keys of the signer, in BDK and in memory alone; no chain is asked."""

import threading
from collections.abc import Mapping

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from bdkpython import Descriptor, KeychainKind, NetworkKind, Persister
    from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import Network, OutPoint, Psbt, PsbtInput, Script
from dovetail.bitcoin.psbt.finalizer import finalize_input
from dovetail.errors import ConfigurationError, InvalidPsbt, WalletError
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer.policy import SignerRefused, own_utxos
from dovetail.merchant.wallet.descriptors import check_descriptor, script_at
from dovetail.wallets.bdk.keys import BDK_NETWORKS, descriptors
from dovetail.wallets.bdk.signing import is_ours, sign_draft
from dovetail.wallets.signing import their_output, with_signature
from dovetail.wallets.wallet_file import Secret

STEP = 20_000
"""How many scripts a request may make it learn."""


class Keys:
    """Derives the wallet's scripts, and signs with its keys; threads may share it."""

    def __init__(self, secret: Secret, *, cold: str | None = None) -> None:
        """Take the keys of a wallet, and the public descriptor of its cold storage.

        Raises `ConfigurationError` for a kind of wallet that cannot be used, and for a wrong cold
        descriptor.
        """
        external, internal = descriptors(secret)
        self.network: Network = secret.network
        self.hot = check_descriptor(str(external), secret.network, name="wallet")
        self.cold = None if cold is None else check_descriptor(cold, secret.network, name="cold")
        if self.cold == self.hot:
            raise ConfigurationError("The cold descriptor is the hot one: give another wallet's.")
        self._external = external
        self._core = _core(external, internal, secret.network)
        self._lock = threading.Lock()
        self._learnt = 0

    def __repr__(self) -> str:
        return f"<Keys on {self.network}>"

    def script(self, keychain: Keychain, index: int) -> Script:
        """Return the script of a keychain at an index; raises `SignerRefused` without one."""
        descriptor = self.hot if keychain is Keychain.HOT else self.cold
        if descriptor is None:
            raise SignerRefused("The signer knows no cold wallet: set `cold` there too.")
        return script_at(descriptor, self.network, index)

    def sign(self, psbt: Psbt, own_inputs: Mapping[OutPoint, int]) -> Psbt:
        """Sign and finalize these inputs, each with the index of its key, and change no others.

        Raises `SignerRefused` for inputs that are not as they are named, and `WalletError`.
        """
        scripts = {coin: self.script(Keychain.HOT, index) for coin, index in own_inputs.items()}
        utxos = own_utxos(psbt, scripts)
        transaction = psbt.unsigned_transaction
        known = tuple(
            PsbtInput().with_witness_utxo(utxos.get(outpoint) or their_output(psbt, index))
            for index, outpoint in enumerate(transaction.contested())
        )
        empty = Psbt.from_unsigned(transaction)
        draft = empty.with_transaction(transaction, known, empty.outputs)
        signed = {each: sign_draft(self._single(each), draft) for each in set(own_inputs.values())}
        for index, outpoint in enumerate(transaction.contested()):
            if outpoint in utxos:
                by = signed[own_inputs[outpoint]]
                psbt = _with_final(psbt, by, index, utxos[outpoint].script_pubkey)
        self._learn(max(own_inputs.values()))
        return psbt

    def owns(self, script: Script) -> bool:
        """Whether a script is the wallet's, as far as indexes have been used and learnt."""
        with self._lock:
            return is_ours(self._core, script)

    def _learn(self, index: int) -> None:
        """Know the scripts up to this index, by and by: each takes a moment to derive."""
        with self._lock:
            last = min(index, self._learnt + STEP)
            if last > self._learnt:
                self._core.reveal_addresses_to(KeychainKind.EXTERNAL, last)
                self._learnt = last

    def _single(self, index: int) -> BdkCore:
        """A wallet of the key at this index alone, so that any index takes the same time."""
        ranged = self._external.to_string_with_secret().partition("#")[0]
        text = ranged.replace("/*", f"/{index}")
        kind = NetworkKind.MAIN if self.network is Network.MAINNET else NetworkKind.TEST
        key = Descriptor(text, kind)
        return BdkCore.create_single(key, BDK_NETWORKS[self.network], Persister.new_in_memory())


def _with_final(psbt: Psbt, signed: Psbt, index: int, script: Script) -> Psbt:
    try:
        final = finalize_input(signed.inputs[index], script)
    except InvalidPsbt as error:
        raise WalletError(
            "The signer could not sign one of its inputs: see whether its wallet has private keys."
        ) from error
    return with_signature(psbt, index, final)


def _core(external: Descriptor, internal: Descriptor, network: Network) -> BdkCore:
    return BdkCore(external, internal, BDK_NETWORKS[network], Persister.new_in_memory())
