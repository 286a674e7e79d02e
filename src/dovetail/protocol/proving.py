"""Which final inputs prove, by valid signatures, the output they spend (BIP 143, BIP 341).

A signature in a witness commits to the amount. But it does so by one reading of the witness, and
the output that is really spent may read the same witness otherwise: a public key is 33 bytes that
may also be a script. An output that can be spent by such a script says nothing about its amount.
"""

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import TxOut

_OP_PUSHDATA1, _OP_PUSHDATA4, _OP_16 = 0x4C, 0x4E, 0x60
_OP_IF, _OP_NOTIF, _OP_ENDIF = 0x63, 0x64, 0x68
_LAST_OPCODE = 0xB9
_DISABLED = (*range(0x7E, 0x82), *range(0x83, 0x87), 0x8D, 0x8E, *range(0x95, 0x9A))
_FAILS_WHEREVER = frozenset((0x65, 0x66, *_DISABLED))
_FAILS_WHEN_RUN = frozenset((0x50, 0x62, 0x6A, 0x89, 0x8A))


def proves_output(psbt_input: PsbtInput, utxo: TxOut) -> bool:
    """Whether valid signatures in these final scripts prove the output, amount included.

    They do where they sign it and nothing else can be spent by the same witness: P2TR by its key
    path, P2WPKH and multisig in P2WSH, and the latter two inside P2SH. Whether the signatures are
    valid is for `verify_input` to say.
    """
    witness = psbt_input.final_script_witness or ()
    match utxo.script_pubkey.type:
        case ScriptType.P2TR:
            return len(witness) == 1
        case ScriptType.P2WPKH:
            return bool(witness) and not may_succeed(witness[-1])
        case ScriptType.P2WSH:
            return bool(witness) and _is_verifiable(Script(witness[-1]))
        case ScriptType.P2SH:  # the script_sig names the program, so that no other can be meant
            nested = Script((psbt_input.final_script_sig or b"")[1:])
            is_key = nested.type is ScriptType.P2WPKH
            return bool(witness) and (is_key or _is_verifiable(Script(witness[-1])))
        case _:
            return False


def _is_verifiable(script: Script) -> bool:
    return script.type in (ScriptType.P2PK, ScriptType.P2PKH, ScriptType.MULTISIG)


def may_succeed(script: bytes) -> bool:
    """Whether these bytes might also be a witness script that succeeds beside one stack item.

    False only where it must fail: cut short, with an opcode that fails, with open conditions, or
    with nothing that takes an item away, as exactly one must be left (BIP 141). Of public keys
    that nobody chose with this in mind, one in 200 might succeed.
    """
    opcodes = _opcodes(script)
    if opcodes is None or not _FAILS_WHEREVER.isdisjoint(opcodes):
        return False
    opened = sum(opcode in (_OP_IF, _OP_NOTIF) for opcode in opcodes)
    if opened or _OP_ENDIF in opcodes:
        return opened == opcodes.count(_OP_ENDIF)
    if any(opcode in _FAILS_WHEN_RUN or opcode > _LAST_OPCODE for opcode in opcodes):
        return False
    return any(opcode > _OP_16 for opcode in opcodes)


def _opcodes(script: bytes) -> tuple[int, ...] | None:
    """The script's opcodes without what they push, or None where a push runs over its end."""
    found: list[int] = []
    offset = 0
    while offset < len(script):
        size = script[offset]
        offset += 1
        found.append(size)
        if size > _OP_PUSHDATA4:
            continue
        if size >= _OP_PUSHDATA1:
            width = 1 << (size - _OP_PUSHDATA1)
            if offset + width > len(script):
                return None
            size = int.from_bytes(script[offset : offset + width], "little")
            offset += width
        offset += size
    return tuple(found) if offset == len(script) else None
