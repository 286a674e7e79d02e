"""The known fields of PSBT version 0 and the shapes they must have (BIP 174, BIP 371).

Fields that these BIPs do not define are not checked; fields of version 2 are refused (BIP 370).
"""

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

from dovetail.bitcoin.encoding import read_compact_size
from dovetail.bitcoin.hashes import hash160, hash256, ripemd160, sha256
from dovetail.bitcoin.psbt.key_origins import TapKeyOrigin
from dovetail.bitcoin.psbt.keymap import Entry, read_size
from dovetail.errors import InvalidPsbt

_MAX_MONEY = 2_100_000_000_000_000
_TAP_DEPTH_LIMIT = 128
_BROKEN_WITNESS = "A PSBT witness cannot be read; ask its creator for another PSBT."

Check = Callable[[bytes, bytes], bool]


class GlobalField(IntEnum):
    """Key types of the global map."""

    UNSIGNED_TX = 0x00
    XPUB = 0x01
    VERSION = 0xFB
    PROPRIETARY = 0xFC


class InputField(IntEnum):
    """Key types of an input's map."""

    NON_WITNESS_UTXO = 0x00
    WITNESS_UTXO = 0x01
    PARTIAL_SIG = 0x02
    SIGHASH_TYPE = 0x03
    REDEEM_SCRIPT = 0x04
    WITNESS_SCRIPT = 0x05
    BIP32_DERIVATION = 0x06
    FINAL_SCRIPTSIG = 0x07
    FINAL_SCRIPTWITNESS = 0x08
    RIPEMD160 = 0x0A
    SHA256 = 0x0B
    HASH160 = 0x0C
    HASH256 = 0x0D
    TAP_KEY_SIG = 0x13
    TAP_SCRIPT_SIG = 0x14
    TAP_LEAF_SCRIPT = 0x15
    TAP_BIP32_DERIVATION = 0x16
    TAP_INTERNAL_KEY = 0x17
    TAP_MERKLE_ROOT = 0x18
    PROPRIETARY = 0xFC


class OutputField(IntEnum):
    """Key types of an output's map."""

    REDEEM_SCRIPT = 0x00
    WITNESS_SCRIPT = 0x01
    BIP32_DERIVATION = 0x02
    TAP_INTERNAL_KEY = 0x05
    TAP_TREE = 0x06
    TAP_BIP32_DERIVATION = 0x07
    PROPRIETARY = 0xFC


def check_entries(scope: str, checks: Mapping[int, Check], entries: Iterable[Entry]) -> None:
    """Raise `InvalidPsbt` for the first entry whose key or value is malformed for its type."""
    for key, value in entries:
        field_type = key[0]
        check = checks.get(field_type, _is_unknown)
        try:
            valid = check(key, value)
        except InvalidPsbt as error:
            raise InvalidPsbt(_malformed(scope, field_type)) from error
        if not valid:
            raise InvalidPsbt(_malformed(scope, field_type))


def _malformed(scope: str, field_type: int) -> str:
    return f"The PSBT's {scope} field {field_type:#04x} cannot be read; ask for another PSBT."


def _is_unknown(key: bytes, _value: bytes) -> bool:
    if key[0] >= 0xFD:
        read_size(key, 0)
    return True


def _is_version_2(_key: bytes, _value: bytes) -> bool:
    return False


def _is_proprietary(key: bytes, _value: bytes) -> bool:
    size, position = read_size(key, 1)
    read_size(key, position + size)
    return True


def _is_bare(key: bytes, _value: bytes) -> bool:
    return len(key) == 1


def _is_bare_and_32_bytes(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and len(value) == 32


def _is_path(value: bytes) -> bool:
    return len(value) >= 4 and len(value) % 4 == 0


def _has_public_key(key: bytes) -> bool:
    match len(key):
        case 34:
            return key[1] in (2, 3)
        case 66:
            return key[1] == 4
        case _:
            return False


def _is_version(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and value == bytes(4)


def _is_xpub(key: bytes, value: bytes) -> bool:
    if len(key) != 79 or not _is_path(value):
        return False
    depth, parity = key[5], key[46]
    return parity in (2, 3) and depth == len(value) // 4 - 1


def _is_witness_utxo(key: bytes, value: bytes) -> bool:
    if len(key) != 1 or int.from_bytes(value[:8], "little") > _MAX_MONEY:
        return False
    size, position = read_size(value, 8)
    return len(value) == position + size


def _is_partial_sig(key: bytes, value: bytes) -> bool:
    # DER: a sequence that fills all but the final sighash byte (BIP 66).
    return (
        _has_public_key(key)
        and 9 <= len(value) <= 73
        and value[0] == 0x30
        and value[1] == len(value) - 3
    )


def _is_sighash_type(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and len(value) == 4


def _is_derivation(key: bytes, value: bytes) -> bool:
    return _has_public_key(key) and _is_path(value)


def _is_witness(key: bytes, value: bytes) -> bool:
    if len(key) != 1:
        return False
    parse_witness(value)
    return True


def _is_preimage(digest: Callable[[bytes], bytes]) -> Check:
    return lambda key, value: key[1:] == digest(value)


def _is_schnorr_signature(value: bytes) -> bool:
    return len(value) in (64, 65)


def _is_tap_key_sig(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and _is_schnorr_signature(value)


def _is_tap_script_sig(key: bytes, value: bytes) -> bool:
    return len(key) == 65 and _is_schnorr_signature(value)


def _is_tap_leaf_script(key: bytes, value: bytes) -> bool:
    branches, rest = divmod(len(key) - 34, 32)
    return rest == 0 and 0 <= branches <= _TAP_DEPTH_LIMIT and len(value) >= 1


def _is_tap_derivation(key: bytes, value: bytes) -> bool:
    if len(key) != 33:
        return False
    TapKeyOrigin.parse(value)
    return True


def _is_tap_tree(key: bytes, value: bytes) -> bool:
    """Leaves in depth-first order fill a binary tree: two siblings count as a leaf one level up."""
    open_depths: list[int] = []
    position = 0
    while position + 2 <= len(value):
        depth, leaf_version = value[position], value[position + 1]
        size, position = read_size(value, position + 2)
        position += size
        if depth > _TAP_DEPTH_LIMIT or leaf_version & 1:
            return False
        if open_depths == [0] or (open_depths and depth < open_depths[-1]):
            return False
        while open_depths and open_depths[-1] == depth:
            open_depths.pop()
            depth -= 1
        open_depths.append(depth)
    return len(key) == 1 and position == len(value) and open_depths == [0]


def parse_witness(data: bytes) -> tuple[bytes, ...]:
    """The items of a serialized witness stack. Raises `InvalidPsbt`."""
    count, position = read_size(data, 0)
    items: list[bytes] = []
    try:
        while len(items) < count:
            size = data[position]
            position += 1
            if size >= 0xFD:
                size, position = read_compact_size(data, position - 1, InvalidPsbt)
            end = position + size
            items.append(data[position:end])
            position = end
    except IndexError:
        raise InvalidPsbt(_BROKEN_WITNESS) from None
    if position != len(data):
        raise InvalidPsbt(_BROKEN_WITNESS)
    return tuple(items)


GLOBAL_CHECKS: Mapping[int, Check] = {
    GlobalField.UNSIGNED_TX: _is_bare,
    GlobalField.XPUB: _is_xpub,
    **dict.fromkeys(range(0x02, 0x07), _is_version_2),
    GlobalField.VERSION: _is_version,
    GlobalField.PROPRIETARY: _is_proprietary,
}
INPUT_CHECKS: Mapping[int, Check] = {
    InputField.NON_WITNESS_UTXO: _is_bare,
    InputField.WITNESS_UTXO: _is_witness_utxo,
    InputField.PARTIAL_SIG: _is_partial_sig,
    InputField.SIGHASH_TYPE: _is_sighash_type,
    InputField.REDEEM_SCRIPT: _is_bare,
    InputField.WITNESS_SCRIPT: _is_bare,
    InputField.BIP32_DERIVATION: _is_derivation,
    InputField.FINAL_SCRIPTSIG: _is_bare,
    InputField.FINAL_SCRIPTWITNESS: _is_witness,
    InputField.RIPEMD160: _is_preimage(ripemd160),
    InputField.SHA256: _is_preimage(sha256),
    InputField.HASH160: _is_preimage(hash160),
    InputField.HASH256: _is_preimage(hash256),
    **dict.fromkeys(range(0x0E, 0x13), _is_version_2),
    InputField.TAP_KEY_SIG: _is_tap_key_sig,
    InputField.TAP_SCRIPT_SIG: _is_tap_script_sig,
    InputField.TAP_LEAF_SCRIPT: _is_tap_leaf_script,
    InputField.TAP_BIP32_DERIVATION: _is_tap_derivation,
    InputField.TAP_INTERNAL_KEY: _is_bare_and_32_bytes,
    InputField.TAP_MERKLE_ROOT: _is_bare_and_32_bytes,
    InputField.PROPRIETARY: _is_proprietary,
}
OUTPUT_CHECKS: Mapping[int, Check] = {
    OutputField.REDEEM_SCRIPT: _is_bare,
    OutputField.WITNESS_SCRIPT: _is_bare,
    OutputField.BIP32_DERIVATION: _is_derivation,
    **dict.fromkeys((0x03, 0x04), _is_version_2),
    OutputField.TAP_INTERNAL_KEY: _is_bare_and_32_bytes,
    OutputField.TAP_TREE: _is_tap_tree,
    OutputField.TAP_BIP32_DERIVATION: _is_tap_derivation,
    OutputField.PROPRIETARY: _is_proprietary,
}
