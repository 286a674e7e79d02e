"""Public descriptors of a shop: checked when they are set, and the scripts that they give."""

from functools import lru_cache

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from bdkpython import Descriptor, DescriptorType, NetworkKind

from dovetail.bitcoin import Network, Script
from dovetail.bitcoin.base58 import decode_base58check, encode_base58check
from dovetail.errors import ConfigurationError, InvalidAddress
from dovetail.wallets.bdk.errors import KEY_ERRORS
from dovetail.wallets.bdk.keys import BDK_NETWORKS

_XPUB, _TPUB = bytes.fromhex("0488b21e"), bytes.fromhex("043587cf")
_EXTENDED = {
    _XPUB: (True, _XPUB),
    bytes.fromhex("04b24746"): (True, _XPUB),
    _TPUB: (False, _TPUB),
    bytes.fromhex("045f1cf6"): (False, _TPUB),
}
"""Versions of extended public keys, xpub, zpub, tpub and vpub (BIP 32, SLIP 132): whether they are
of mainnet, and the version that descriptors take."""

_SIZE = 78
"""Bytes of an extended key without its checksum (BIP 32)."""

_BOTH, _PAYMENTS = "/<0;1>/*", "/0/*"
"""How wallets write payments and change in one descriptor (BIP 389), and payments alone."""

_KINDS = (DescriptorType.WPKH, DescriptorType.TR)
_MAINNET, _TEST = ("xpub", "xprv"), ("tpub", "tprv")


def check_descriptor(text: str, network: Network, *, name: str = "descriptor") -> str:
    """Return a public, ranged wpkh or tr descriptor with its checksum (BIP 380).

    `name` is the setting. Raises `ConfigurationError`, which does not quote the keys, for private
    keys, another network's keys, another kind, and a descriptor of one address alone.
    """
    wrong = _MAINNET if network is not Network.MAINNET else _TEST
    if any(prefix in text for prefix in wrong):
        raise _of_another_network(network, name)
    descriptor = check_readable(text, network, name=name)
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


def check_readable(text: str, network: Network, *, name: str) -> Descriptor:
    """Return the descriptor of a text; raises `ConfigurationError`, which does not quote it."""
    try:
        return Descriptor(text.strip(), _kind_of(network))
    except KEY_ERRORS:
        raise ConfigurationError(
            f"`{name}` cannot be read for {network}: give an output descriptor such as"
            " wpkh([fingerprint/84h/0h/0h]xpub…/0/*)."
        ) from None


def _of_another_network(network: Network, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"The keys of `{name}` are not for {network}: export the descriptor of a wallet on that"
        " network."
    )


def cold_descriptor(text: str, network: Network, *, name: str) -> str:
    """Return the descriptor of a cold wallet's payments, from what its program exports.

    That is a descriptor, also one for payments and change together, or an extended public key, an
    xpub or zpub, whose addresses are taken to be wpkh. Raises `ConfigurationError` as
    `check_descriptor` does.
    """
    text = text.strip()
    if "(" not in text:
        return check_descriptor(f"wpkh({_extended(text, network, name)}/0/*)", network, name=name)
    if _BOTH in text:
        check_readable(text, network, name=name)
        text = text.partition("#")[0].replace(_BOTH, _PAYMENTS)
    return check_descriptor(text, network, name=name)


def _extended(text: str, network: Network, name: str) -> str:
    """An extended public key as descriptors spell it."""
    try:
        payload = decode_base58check(text)
    except InvalidAddress:
        payload = b""
    found = _EXTENDED.get(payload[:4])
    if found is None or len(payload) != _SIZE:
        raise ConfigurationError(
            f"`{name}` is neither a public descriptor of the kind wpkh or tr nor an extended public"
            " key, an xpub or zpub: copy it from your wallet again."
        )
    is_mainnet, version = found
    if is_mainnet != (network is Network.MAINNET):
        raise _of_another_network(network, name)
    return encode_base58check(version + payload[4:])


def script_at(descriptor: str, network: Network, index: int) -> Script:
    """Return the script of a checked descriptor at an index."""
    address = _parsed(descriptor, network).derive_address(index, BDK_NETWORKS[network])
    return Script(bytes(address.script_pubkey().to_bytes()))


@lru_cache(maxsize=64)
def _parsed(descriptor: str, network: Network) -> Descriptor:
    return Descriptor(descriptor, _kind_of(network))


def _kind_of(network: Network) -> NetworkKind:
    return NetworkKind.MAIN if network is Network.MAINNET else NetworkKind.TEST
