"""Public descriptors of a shop: checked when they are set, and the scripts that they give."""

from functools import lru_cache

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from bdkpython import Descriptor, DescriptorType, NetworkKind

from dovetail.bitcoin import Network, Script
from dovetail.errors import ConfigurationError
from dovetail.wallets.bdk.errors import KEY_ERRORS
from dovetail.wallets.bdk.keys import BDK_NETWORKS

_KINDS = (DescriptorType.WPKH, DescriptorType.TR)
_MAINNET, _TEST = ("xpub", "xprv"), ("tpub", "tprv")


def check_descriptor(text: str, network: Network, *, name: str = "descriptor") -> str:
    """Return a public, ranged wpkh or tr descriptor with its checksum (BIP 380).

    `name` is the setting. Raises `ConfigurationError`, which does not quote the keys, for private
    keys, another network's keys, another kind, and a descriptor of one address alone.
    """
    wrong = _MAINNET if network is not Network.MAINNET else _TEST
    if any(prefix in text for prefix in wrong):
        raise ConfigurationError(
            f"The keys of `{name}` are not for {network}: export the descriptor of a wallet on that"
            " network."
        )
    try:
        descriptor = Descriptor(text.strip(), _kind_of(network))
    except KEY_ERRORS:
        raise ConfigurationError(
            f"`{name}` cannot be read for {network}: give an output descriptor such as"
            " wpkh([fingerprint/84h/0h/0h]xpub…/0/*)."
        ) from None
    if descriptor.to_string_with_secret() != str(descriptor):
        raise ConfigurationError(
            f"`{name}` has a private key, which only the signer may have: give the public one."
        )
    if descriptor.desc_type() not in _KINDS:
        raise ConfigurationError(f"`{name}` must be of the kind wpkh or tr: give such a one.")
    if not descriptor.has_wildcard() or descriptor.is_multipath():
        raise ConfigurationError(
            f"`{name}` must give one chain of addresses, and end in /0/*: correct it."
        )
    return str(descriptor)


def script_at(descriptor: str, network: Network, index: int) -> Script:
    """Return the script of a checked descriptor at an index."""
    address = _parsed(descriptor, network).derive_address(index, BDK_NETWORKS[network])
    return Script(bytes(address.script_pubkey().to_bytes()))


@lru_cache(maxsize=64)
def _parsed(descriptor: str, network: Network) -> Descriptor:
    return Descriptor(descriptor, _kind_of(network))


def _kind_of(network: Network) -> NetworkKind:
    return NetworkKind.MAIN if network is Network.MAINNET else NetworkKind.TEST
