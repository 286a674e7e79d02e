"""Checks if bytes could be a witness script that succeeds with one stack item (BIP 141).

Only the number of stack items is followed, not their values. A script might succeed if it never
lacks items and can leave exactly one.
"""

_OP_PUSHDATA1, _OP_PUSHDATA4, _OP_RESERVED, _OP_16 = 0x4C, 0x4E, 0x50, 0x60
_CONDITIONS = (0x63, 0x64)  # IF, NOTIF
_OP_ENDIF, _OP_TOALTSTACK, _OP_FROMALTSTACK = 0x68, 0x6B, 0x6C
_DISABLED = (*range(0x7E, 0x82), *range(0x83, 0x87), 0x8D, 0x8E, *range(0x95, 0x9A))
_FAILS_WHEREVER = frozenset((0x65, 0x66, *_DISABLED))

_EFFECTS: dict[int, tuple[int, int]] = {
    0x61: (0, 0),  # NOP
    0x69: (1, -1),  # VERIFY
    _OP_TOALTSTACK: (1, -1),
    _OP_FROMALTSTACK: (0, 1),
    0x6D: (2, -2),  # 2DROP
    0x6E: (2, 2),  # 2DUP
    0x6F: (3, 3),  # 3DUP
    0x70: (4, 2),  # 2OVER
    0x71: (6, 0),  # 2ROT
    0x72: (4, 0),  # 2SWAP
    0x74: (0, 1),  # DEPTH
    0x75: (1, -1),  # DROP
    0x76: (1, 1),  # DUP
    0x77: (2, -1),  # NIP
    0x78: (2, 1),  # OVER
    0x79: (2, 0),  # PICK
    0x7A: (2, -1),  # ROLL
    0x7B: (3, 0),  # ROT
    0x7C: (2, 0),  # SWAP
    0x7D: (2, 1),  # TUCK
    0x82: (1, 1),  # SIZE
    0x87: (2, -1),  # EQUAL
    0x88: (2, -2),  # EQUALVERIFY
    **dict.fromkeys((0x8B, 0x8C, 0x8F, 0x90, 0x91, 0x92), (1, 0)),  # 1ADD to 0NOTEQUAL
    **dict.fromkeys((0x93, 0x94, *range(0x9A, 0x9D), *range(0x9E, 0xA5)), (2, -1)),  # ADD to MAX
    0x9D: (2, -2),  # NUMEQUALVERIFY
    0xA5: (3, -2),  # WITHIN
    **dict.fromkeys(range(0xA6, 0xAB), (1, 0)),  # RIPEMD160 to HASH256
    0xAB: (0, 0),  # CODESEPARATOR
    0xAC: (2, -1),  # CHECKSIG
    0xAD: (2, -2),  # CHECKSIGVERIFY
    **dict.fromkeys((0xB0, *range(0xB3, 0xBA)), (0, 0)),  # NOP1, NOP4 to NOP10
    **dict.fromkeys((0xB1, 0xB2), (1, 0)),  # CHECKLOCKTIMEVERIFY, CHECKSEQUENCEVERIFY
}
"""The items that an opcode needs, and the change of their number."""
_NUMERIC = frozenset((0x8B, 0x8C, *range(0x8F, 0x95), *range(0x9A, 0xA6)))
"""Opcodes that read the topmost item as a number of at most four bytes."""
_LONG_PUSHES = range(5, 0x4C)
_VARIABLE = {
    0x73: (1, 0, 1),  # IFDUP
    0xAE: (3, -42, -2),  # CHECKMULTISIG, of up to 20 keys and as many signatures
    0xAF: (3, -43, -3),  # CHECKMULTISIGVERIFY
}
"""The same for opcodes that depend on values: the least and the greatest change."""


def may_succeed(script: bytes) -> bool:
    """Whether these bytes, as a witness script, might succeed beside one stack item.

    False only if they must fail: a truncated push, a failing opcode, unbalanced conditions,
    missing stack items, or a final number of items other than one (BIP 141). Nothing is followed
    after the first condition.
    """
    opcodes = _opcodes(script)
    if opcodes is None or not _FAILS_WHEREVER.isdisjoint(opcodes):
        return False
    opened = sum(opcode in _CONDITIONS for opcode in opcodes)
    return opened == opcodes.count(_OP_ENDIF) and _may_leave_one(opcodes)


def _may_leave_one(opcodes: tuple[int, ...]) -> bool:
    """Whether the script can leave exactly one item, as far as it can be followed."""
    least, most, aside, before = 1, 1, 0, 0
    for opcode in opcodes:
        if opcode in _CONDITIONS:
            return most > 0
        effect = _effect(opcode)
        if effect is None or (opcode in _NUMERIC and before in _LONG_PUSHES):
            return False
        needs, fewest, largest = effect
        aside += (opcode == _OP_TOALTSTACK) - (opcode == _OP_FROMALTSTACK)
        if most < needs or aside < 0:
            return False
        least = max(0, max(least, needs) + fewest)
        most += largest
        before = opcode
    return least <= 1 <= most


def _effect(opcode: int) -> tuple[int, int, int] | None:
    """Return the needed items and the range of the change; None if the opcode fails."""
    if opcode <= _OP_16 and opcode != _OP_RESERVED:
        return 0, 1, 1
    if opcode in _EFFECTS:
        needs, more = _EFFECTS[opcode]
        return needs, more, more
    return _VARIABLE.get(opcode)


def _opcodes(script: bytes) -> tuple[int, ...] | None:
    """Return the script's opcodes without pushed data, or None for a truncated push."""
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
