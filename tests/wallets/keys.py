"""Wallets whose first key may also be a script: one key in five thousand is such."""

import hashlib
import hmac
from itertools import count

from dovetail.bitcoin.base58 import encode_base58check
from dovetail.bitcoin.hashes import sha256
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.witness_scripts import may_succeed

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_TPRV = bytes.fromhex("04358394") + bytes(9)  # a master key of a test network (BIP 32)


def descriptors_of_a_key_like_a_script(name: str) -> tuple[str, str]:
    """P2WPKH descriptors, for payments and for change, whose first keys may each be a script."""
    return _search(name + "/0"), _search(name + "/1")


def _search(name: str) -> str:
    secret = SecretKey(sha256(name.encode()))
    parent = secret.public_key.compressed
    for number in count():
        chain_code = sha256(f"{name} {number}".encode())
        if may_succeed(_first_child(secret, parent, chain_code)):
            key = encode_base58check(_TPRV + chain_code + b"\0" + secret.reveal())
            return f"wpkh({key}/*)"
    raise AssertionError


def _first_child(secret: SecretKey, parent: bytes, chain_code: bytes) -> bytes:
    """The public key of the first child that is not hardened (BIP 32, CKDpriv)."""
    tweak = hmac.digest(chain_code, parent + bytes(4), hashlib.sha512)[:32]
    child = (int.from_bytes(tweak, "big") + int.from_bytes(secret.reveal(), "big")) % _ORDER
    return SecretKey(child.to_bytes(32, "big")).public_key.compressed
