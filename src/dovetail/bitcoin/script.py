"""Output scripts and addresses.

BIP 13 and BIP 16 (P2SH), BIP 141 (witness programs), BIP 173 and BIP 350 (segwit addresses),
BIP 341 (P2TR); the types are those of Bitcoin Core's Solver.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from functools import lru_cache
from typing import Self

from dovetail.bitcoin.base58 import decode_base58check, encode_base58check
from dovetail.bitcoin.bech32 import decode_segwit, encode_segwit
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidAddress

_OP_PUSHDATA1, _OP_PUSHDATA4 = 0x4C, 0x4E
_OP_1, _OP_16 = 0x51, 0x60
_OP_RETURN = b"\x6a"
_MAX_SCRIPT_SIZE = 10_000

# Bitcoin Core's GetDustThreshold: spending takes 148 vbytes, or 67 with a witness, at 3 sat/vB.
_SPEND_SIZE, _WITNESS_SPEND_SIZE, _DUST_RATE = 148, 67, 3


class Network(StrEnum):
    """A Bitcoin network; TESTNET stands for both testnet3 and testnet4."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    SIGNET = "signet"
    REGTEST = "regtest"


class ScriptType(Enum):
    """The standard form of an output script."""

    P2PK = auto()
    P2PKH = auto()
    P2SH = auto()
    P2WPKH = auto()
    P2WSH = auto()
    P2TR = auto()
    P2A = auto()
    MULTISIG = auto()
    OP_RETURN = auto()
    WITNESS_UNKNOWN = auto()
    UNKNOWN = auto()


def _pattern(expression: bytes) -> re.Pattern[bytes]:
    return re.compile(expression, re.DOTALL)


# By size, which distinguishes most of them.
_FIXED_FORMS = {
    4: ((ScriptType.P2A, _pattern(rb"\x51\x02\x4e\x73")),),
    22: ((ScriptType.P2WPKH, _pattern(rb"\x00\x14.{20}")),),
    23: ((ScriptType.P2SH, _pattern(rb"\xa9\x14.{20}\x87")),),
    25: ((ScriptType.P2PKH, _pattern(rb"\x76\xa9\x14.{20}\x88\xac")),),
    34: (
        (ScriptType.P2TR, _pattern(rb"\x51\x20.{32}")),
        (ScriptType.P2WSH, _pattern(rb"\x00\x20.{32}")),
    ),
    35: ((ScriptType.P2PK, _pattern(rb"\x21[\x02\x03].{32}\xac")),),
    67: ((ScriptType.P2PK, _pattern(rb"\x41[\x04\x06\x07].{64}\xac")),),
}
_KEY = _pattern(rb"\x21([\x02\x03].{32})|\x41([\x04\x06\x07].{64})")
_MULTISIG = _pattern(
    rb"([\x51-\x60]|\x01[\x11-\x14])"
    rb"((?:\x21[\x02\x03].{32}|\x41[\x04\x06\x07].{64}){1,20})"
    rb"([\x51-\x60]|\x01[\x11-\x14])\xae"
)


class Script(bytes):
    """A script; any bytes are one. Its repr shows only its size (P4)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Script of {len(self)} bytes>"

    __str__ = __repr__

    @property
    def type(self) -> ScriptType:
        """Which standard form the script has, if any."""
        if len(self) in _FIXED_FORMS and (fixed := _fixed_form(self)) is not None:
            return fixed
        if self.is_witness_program and self[0] != 0:
            return ScriptType.WITNESS_UNKNOWN
        if self.startswith(_OP_RETURN) and is_push_only(self[1:]):
            return ScriptType.OP_RETURN
        return ScriptType.UNKNOWN if self.multisig is None else ScriptType.MULTISIG

    @property
    def is_witness_program(self) -> bool:
        """Whether it is a version and one push of 2 to 40 bytes (BIP 141)."""
        return (
            4 <= len(self) <= 42
            and (self[0] == 0 or _OP_1 <= self[0] <= _OP_16)
            and self[1] == len(self) - 2
        )

    @property
    def multisig(self) -> tuple[int, tuple[bytes, ...]] | None:
        """The required signatures of a bare multisig script, and its keys of 33 or 65 bytes."""
        found = _MULTISIG.fullmatch(self)
        if found is None:
            return None
        keys = tuple(short or long for short, long in _KEY.findall(found[2]))
        required, total = _small_number(found[1]), _small_number(found[3])
        return (required, keys) if required <= total == len(keys) else None

    @property
    def dust_limit(self) -> Sats:
        """Nodes do not relay an output with this script below this value (Core's default)."""
        if self.startswith(_OP_RETURN) or len(self) > _MAX_SCRIPT_SIZE:
            return Sats(0)
        spending = _WITNESS_SPEND_SIZE if self.is_witness_program else _SPEND_SIZE
        length_size = 1 if len(self) < 0xFD else 3
        return Sats(_DUST_RATE * (8 + length_size + len(self) + spending))


@lru_cache(maxsize=512)
def _fixed_form(script: Script) -> ScriptType | None:
    """Return the form of this size that a script has, from a cache."""
    forms = _FIXED_FORMS[len(script)]
    return next((script_type for script_type, form in forms if form.fullmatch(script)), None)


_TEST_NETWORKS = frozenset({Network.TESTNET, Network.SIGNET})
_HRPS = {
    "bc": frozenset({Network.MAINNET}),
    "tb": _TEST_NETWORKS,
    "bcrt": frozenset({Network.REGTEST}),
}
_BASE58_VERSIONS = {
    0x00: (ScriptType.P2PKH, frozenset({Network.MAINNET})),
    0x05: (ScriptType.P2SH, frozenset({Network.MAINNET})),
    0x6F: (ScriptType.P2PKH, _TEST_NETWORKS | {Network.REGTEST}),
    0xC4: (ScriptType.P2SH, _TEST_NETWORKS | {Network.REGTEST}),
}
_BASE58_FRAMES = {
    ScriptType.P2PKH: (b"\x76\xa9\x14", b"\x88\xac"),
    ScriptType.P2SH: (b"\xa9\x14", b"\x87"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """An address and the output script it stands for; its repr shows neither (P4).

    Make one with `parse` or `from_script`. `text` is in lower case for segwit addresses, so that
    the same address is equal however it was written. `networks` holds every network it is for.
    """

    script_pubkey: Script
    networks: frozenset[Network]
    text: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address of any standard type on any network.

        Segwit addresses may be all in upper case. Raises `InvalidAddress`.
        """
        return _parse_address(text)

    @classmethod
    def from_script(cls, script: bytes, network: Network) -> Self:
        """The address of an output script; raises `InvalidAddress` when it has none."""
        script = Script(script)
        if script.is_witness_program and (script[0] or script.type is not ScriptType.UNKNOWN):
            hrp = next(hrp for hrp, networks in _HRPS.items() if network in networks)
            version = script[0] - _OP_1 + 1 if script[0] else 0
            return cls(script, _HRPS[hrp], encode_segwit(hrp, version, script[2:]))
        for version, (script_type, networks) in _BASE58_VERSIONS.items():
            if script.type is script_type and network in networks:
                head, tail = _BASE58_FRAMES[script_type]
                payload = bytes([version]) + script[len(head) : -len(tail)]
                return cls(script, networks, encode_base58check(payload))
        raise InvalidAddress("This kind of script has no address; use its bytes instead.")

    def is_for(self, network: Network) -> bool:
        """Whether the address can be paid on this network."""
        return network in self.networks

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Address for {', '.join(sorted(self.networks))}>"


@lru_cache(maxsize=256)
def _parse_address(text: str) -> Address:
    if text[:5].lower().startswith(("bc1", "tb1", "bcrt1")):
        hrp, version, program = decode_segwit(text)
        opcode = _OP_1 - 1 + version if version else 0
        script = Script(bytes([opcode, len(program)]) + program)
        return Address(script, _networks_of(_HRPS.get(hrp)), text.lower())
    payload = decode_base58check(text)
    if len(payload) != 21:
        raise InvalidAddress("The text is base 58 but no address; copy the address again.")
    script_type, networks = _BASE58_VERSIONS.get(payload[0], (ScriptType.P2SH, None))
    head, tail = _BASE58_FRAMES[script_type]
    return Address(Script(head + payload[1:] + tail), _networks_of(networks), text)


def _networks_of(networks: frozenset[Network] | None) -> frozenset[Network]:
    if networks is None:
        raise InvalidAddress("The address is of no Bitcoin network; ask for another one.")
    return networks


def _small_number(push: bytes) -> int:
    """Read OP_1 to OP_16, or a push of one byte."""
    return push[1] if len(push) == 2 else push[0] - _OP_1 + 1


def is_push_only(script: bytes) -> bool:
    """Whether the script does nothing but push data (Bitcoin Core's IsPushOnly)."""
    offset = 0
    while offset < len(script):
        opcode = script[offset]
        offset += 1
        if opcode > _OP_16:
            return False
        if opcode < _OP_PUSHDATA1:
            offset += opcode
        elif opcode <= _OP_PUSHDATA4:
            width = 1 << (opcode - _OP_PUSHDATA1)
            offset += width + int.from_bytes(script[offset : offset + width], "little")
    return offset == len(script)
