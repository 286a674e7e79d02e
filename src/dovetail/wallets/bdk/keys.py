"""A BDK wallet's keys: make its secret of words or descriptors (BIP 39, 44, 49, 84, 86, 380)."""

from bdkpython import (
    Descriptor,
    DescriptorSecretKey,
    DescriptorType,
    KeychainKind,
    Mnemonic,
    NetworkKind,
)
from bdkpython import Network as BdkNetwork

from dovetail.bitcoin import Network, ScriptType
from dovetail.crypto.entropy import Entropy
from dovetail.errors import ConfigurationError, WalletError
from dovetail.wallets.bdk.errors import KEY_ERRORS
from dovetail.wallets.wallet_file import Kind, Locked, Secret

# Testnet 3 is being retired, so "testnet" means testnet 4.
BDK_NETWORKS = {
    Network.MAINNET: BdkNetwork.BITCOIN,
    Network.TESTNET: BdkNetwork.TESTNET4,
    Network.SIGNET: BdkNetwork.SIGNET,
    Network.REGTEST: BdkNetwork.REGTEST,
}
_TEMPLATES = {
    ScriptType.P2PKH: Descriptor.new_bip44,
    ScriptType.P2SH: Descriptor.new_bip49,
    ScriptType.P2WPKH: Descriptor.new_bip84,
    ScriptType.P2TR: Descriptor.new_bip86,
}
_KINDS: dict[DescriptorType, Kind] = {
    DescriptorType.PKH: "P2PKH",
    DescriptorType.SH_WPKH: "P2SH",
    DescriptorType.WPKH: "P2WPKH",
    DescriptorType.TR: "P2TR",
}
_MNEMONIC_ENTROPY = 16  # bytes: 12 words


def new_mnemonic(entropy: Entropy) -> str:
    """Return twelve new English words (BIP 39)."""
    return str(Mnemonic.from_entropy(entropy(_MNEMONIC_ENTROPY)))


def secret_from_mnemonic(words: str, network: Network, kind: ScriptType) -> Secret:
    """Return the secret of a wallet with account 0 of these words, without a BIP 39 passphrase.

    `kind` is P2WPKH, P2TR, P2PKH, or P2SH for P2SH-P2WPKH. Raises `ConfigurationError`.
    """
    template = _TEMPLATES.get(kind)
    if template is None:
        raise ConfigurationError(
            "A wallet's script type is P2WPKH, P2TR, P2SH (nested P2WPKH) or P2PKH; choose one."
        )
    words = " ".join(words.lower().split())
    try:
        mnemonic = Mnemonic.from_string(words)
    except KEY_ERRORS:
        # The cause may name the words (P4).
        raise ConfigurationError(
            "These are not the words of a BIP 39 mnemonic; check each word and their order."
        ) from None
    network_kind = _network_kind(network)
    key = DescriptorSecretKey(network_kind, mnemonic, None)
    external = template(key, KeychainKind.EXTERNAL, network_kind)
    internal = template(key, KeychainKind.INTERNAL, network_kind)
    return Secret(
        network=network,
        kind=_KINDS[external.desc_type()],
        mnemonic=words,
        external=external.to_string_with_secret(),
        internal=internal.to_string_with_secret(),
    )


def secret_from_descriptors(external: str, internal: str, network: Network) -> Secret:
    """Return the secret of a wallet with two descriptors, each with one private key.

    `internal` is for change. Raises `ConfigurationError`.
    """
    try:
        parsed = [Descriptor(each, _network_kind(network)) for each in (external, internal)]
    except KEY_ERRORS:
        # The cause may quote the keys (P4).
        raise ConfigurationError(
            "A descriptor cannot be read for this network; copy both again from their wallet."
        ) from None
    kinds: set[Kind | None] = {_KINDS.get(each.desc_type()) for each in parsed}
    kind = kinds.pop()
    if kind is None or kinds:
        raise ConfigurationError(
            "Both descriptors must be wpkh, tr, sh(wpkh) or pkh with one key each; correct them."
        )
    if any(_is_public(each) or not each.has_wildcard() for each in parsed):
        raise ConfigurationError(
            "The descriptors must hold private keys and end in a wildcard; export them again."
        )
    if str(parsed[0]) == str(parsed[1]):
        raise ConfigurationError(
            "Payments and change have the same descriptor; give two different ones."
        )
    return Secret(network=network, kind=kind, mnemonic=None, external=external, internal=internal)


def descriptors(secret: Secret | Locked) -> tuple[Descriptor, Descriptor]:
    """Return the external and the internal descriptor; a locked wallet's hold no private keys.

    Raises `WalletError` if the file was changed.
    """
    kind = _network_kind(secret.network)
    try:
        return Descriptor(secret.external, kind), Descriptor(secret.internal, kind)
    except KEY_ERRORS:
        raise WalletError(
            "The wallet's descriptors are damaged; restore wallet.json from a backup."
        ) from None


def public(secret: Secret) -> tuple[str, str]:
    """Return both descriptors with public keys only, which are enough to find its coins."""
    external, internal = descriptors(secret)
    return str(external), str(internal)


def _is_public(descriptor: Descriptor) -> bool:
    return bool(str(descriptor) == descriptor.to_string_with_secret())


def _network_kind(network: Network) -> NetworkKind:
    return NetworkKind.MAIN if network is Network.MAINNET else NetworkKind.TEST
