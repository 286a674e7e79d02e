"""The nested scripts of an input (BIP 16, BIP 141, BIP 341)."""

from dataclasses import dataclass
from typing import Self

from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.psbt.maps import PsbtInput
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.errors import InvalidPsbt

_OP_PUSHDATA1, _OP_PUSHDATA2 = b"\x4c", b"\x4d"
_WITNESS_PROGRAMS = (ScriptType.P2WPKH, ScriptType.P2TR)


@dataclass(frozen=True, slots=True, repr=False)
class SpendPath:
    """The innermost script, which demands signatures, and the scripts around it."""

    script: Script
    redeem_script: Script | None
    witness_script: Script | None

    @classmethod
    def of(cls, psbt_input: PsbtInput, script_pubkey: Script) -> Self:
        """Resolve the nested scripts of an output script with the scripts of the input.

        P2PKH, P2WPKH, P2TR and multisig, P2PKH and multisig also inside P2SH, P2WSH and
        P2SH-P2WSH, P2WPKH also inside P2SH. Raises `InvalidPsbt` where a script is missing, does
        not match the hash before it, or is of another kind.
        """
        script, redeem_script, witness_script = script_pubkey, None, None
        kind = script.type
        if kind is ScriptType.P2SH:
            redeem_script = psbt_input.redeem_script
            if redeem_script is None or hash160(redeem_script) != script[2:22]:
                raise InvalidPsbt(
                    "An input's redeem script is missing or does not match its coin; "
                    "let the wallet that owns the coin fill it in."
                )
            script, kind = redeem_script, redeem_script.type
        if kind is ScriptType.P2WSH:
            witness_script = psbt_input.witness_script
            if witness_script is None or sha256(witness_script) != script[2:]:
                raise InvalidPsbt(
                    "An input's witness script is missing or does not match its coin; "
                    "let the wallet that owns the coin fill it in."
                )
            script, kind = witness_script, witness_script.type
        if not cls._is_spendable(kind, redeem_script, witness_script):
            raise InvalidPsbt(
                "An input spends a kind of script that is not supported; choose another coin."
            )
        return cls(script, redeem_script, witness_script)

    @staticmethod
    def _is_spendable(
        kind: ScriptType, redeem_script: Script | None, witness_script: Script | None
    ) -> bool:
        match kind:
            case ScriptType.P2PKH | ScriptType.MULTISIG:
                return True
            case ScriptType.P2WPKH:
                return witness_script is None
            case ScriptType.P2TR:  # BIP 341: inside P2SH, witness version 1 is no Taproot
                return redeem_script is None and witness_script is None
            case _:
                return False

    def assemble(self, *items: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """The script_sig and the witness that give the innermost script these stack items."""
        nested = b"" if self.redeem_script is None else push(self.redeem_script)
        if self.witness_script is not None:
            return nested, (*items, self.witness_script)
        if self.script.type in _WITNESS_PROGRAMS:
            return nested, items
        return b"".join(map(push, items)) + nested, ()


def push(data: bytes) -> bytes:
    """The script that pushes up to 65,535 bytes, with the shortest length opcode."""
    size = len(data)
    if size < _OP_PUSHDATA1[0]:
        return bytes((size,)) + data
    if size <= 0xFF:
        return _OP_PUSHDATA1 + bytes((size,)) + data
    return _OP_PUSHDATA2 + size.to_bytes(2, "little") + data
