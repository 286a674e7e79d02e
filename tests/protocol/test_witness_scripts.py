import pytest
from tests.protocol.signer import KEY

from dovetail.protocol.witness_scripts import may_succeed


@pytest.mark.parametrize(
    "script",
    [
        b"\x02\xaa\xbb\x6d\x1c" + bytes(28),  # two bytes, OP_2DROP, 28 bytes
        b"\x75\x51",  # OP_DROP OP_1
        b"\x75\x4c\x01\x07",  # OP_DROP OP_PUSHDATA1
        b"\x51\x63\x75\x51\x68",  # OP_1 OP_IF OP_DROP OP_1 OP_ENDIF
        b"\x63\x62\x67\x51\x68",  # an opcode that fails where it is not run
        b"\x04" + bytes(4) + b"\x93",  # OP_ADD of a number of four bytes
        b"\x6b\x6c",  # OP_TOALTSTACK OP_FROMALTSTACK
        b"\x73\x75",  # OP_IFDUP OP_DROP
        b"\x75\x00\x00\x00\xae",  # OP_CHECKMULTISIG of nothing
        b"\x51\x00\x00\x00\xaf\x75",  # OP_CHECKMULTISIGVERIFY of nothing
    ],
)
def test_scripts_that_may_succeed(script):
    assert may_succeed(script)


@pytest.mark.parametrize(
    "script",
    [
        b"\x51",  # leaves two items
        b"\x75",  # leaves none
        b"\x20" + bytes(31),  # cut short
        b"\x75\x51\x4d\x01",  # cut short in a length
        b"\x75\x51\x7e",  # OP_CAT
        b"\x75\x51\x65",  # OP_VERIF
        b"\x75\x51\x6a",  # OP_RETURN
        b"\x75\x51\x50",  # OP_RESERVED
        b"\x75\x51\xba",  # an opcode that is none
        b"\x51\x63\x75\x51",  # OP_IF without its end
        b"\x75\x51\x68",  # OP_ENDIF alone
        b"\x67",  # OP_ELSE alone
        b"\x75\x63\x51\x68",  # OP_IF with nothing to look at
        b"\x62\x63\x51\x68",  # an opcode that fails before a condition
        b"\x87",  # OP_EQUAL of one item
        b"\x6c",  # OP_FROMALTSTACK with nothing there
        b"\x71\x6d\x6d",  # OP_2ROT of one item
        b"\x05" + bytes(5) + b"\x93",  # OP_ADD of a number of five bytes
        KEY,
    ],
)
def test_scripts_that_must_fail(script):
    assert not may_succeed(script)
