import pytest

from dovetail.bitcoin.base58 import encode_base58check
from dovetail.bitcoin.script import Address, Network, Script, ScriptType
from dovetail.errors import InvalidAddress

TEST_NETWORKS = frozenset({Network.TESTNET, Network.SIGNET})
ALL_BUT_MAINNET = TEST_NETWORKS | {Network.REGTEST}
MAINNET = frozenset({Network.MAINNET})

KEY = b"\x02" + bytes(32)
LONG_KEY = b"\x04" + bytes(64)
MULTISIG_2_OF_3 = b"\x52" + (b"\x21" + KEY) * 3 + b"\x53\xae"
MULTISIG_17_OF_18 = b"\x01\x11" + (b"\x21" + KEY) * 18 + b"\x01\x12\xae"

# BIP 350 (and, but for their checksums, BIP 173): valid segwit addresses and their scripts.
VALID_SEGWIT = [
    (
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        ScriptType.P2WPKH,
    ),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ScriptType.P2WSH,
    ),
    (
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ScriptType.WITNESS_UNKNOWN,
    ),
    ("BC1SW50QGDZ25J", "6002751e", ScriptType.WITNESS_UNKNOWN),
    (
        "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
        "5210751e76e8199196d454941c45d1b3a323",
        ScriptType.WITNESS_UNKNOWN,
    ),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ScriptType.P2WSH,
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ScriptType.P2TR,
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ScriptType.P2TR,
    ),
    # Bitcoin Core, pay to anchor (policy since 28.0).
    ("bc1pfeessrawgf", "51024e73", ScriptType.P2A),
]

# Bitcoin Core, src/test/data/key_io_valid.json.
VALID_BASE58 = [
    (
        "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i",
        "76a91465a16059864a2fdbc7c99a4723a8395bc6f188eb88ac",
        ScriptType.P2PKH,
        MAINNET,
    ),
    (
        "3CMNFxN1oHBc4R1EpboAL5yzHGgE611Xou",
        "a91474f209f6ea907e2ea48f74fae05782ae8a66525787",
        ScriptType.P2SH,
        MAINNET,
    ),
    (
        "mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs",
        "76a91453c0307d6851aa0ce7825ba883c6bd9ad242b48688ac",
        ScriptType.P2PKH,
        ALL_BUT_MAINNET,
    ),
    (
        "2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br",
        "a9146349a418fc4578d10a372b54b45c280cc8c4382f87",
        ScriptType.P2SH,
        ALL_BUT_MAINNET,
    ),
]

# BIP 350 and BIP 173, invalid segwit addresses with the reason they give.
INVALID = {
    "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut": "prefix",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd": "bech32, not bech32m",
    "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf": "bech32, not bech32m",
    "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL": "bech32, not bech32m",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh": "bech32m, not bech32",
    "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47": "bech32m, not bech32",
    "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4": "character in checksum",
    "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R": "version",
    "bc1pw5dgrnzv": "1 byte",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav": "41 bytes",
    "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P": "length for version 0",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq": "mixed case",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf": "more than 4 bits left",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j": "padding not zero",
    "bc1gmk9yu": "no data",
    "tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty": "prefix",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5": "checksum",
    "BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2": "version",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7": "mixed case",
    # A version and program of BIP 173 that BIP 350 gave another checksum.
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx": "checksum",
    # Base 58, but a private key (Bitcoin Core, key_io_valid.json).
    "5Kd3NBUAdUnhyzenEwVLy9pBKxSwXvE9FMPyR4UKZvpe6E3AgLr": "private key",
    "": "nothing",
    "bc1": "nothing but a prefix",
    "bc1q1w508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": "a prefix that only starts like one",
}


@pytest.mark.parametrize(("text", "script", "script_type"), VALID_SEGWIT)
def test_a_published_segwit_address_stands_for_its_script(text, script, script_type):
    address = Address.parse(text)
    assert address.script_pubkey == bytes.fromhex(script)
    assert address.script_pubkey.type is script_type
    assert address.networks == (MAINNET if text.lower().startswith("bc") else TEST_NETWORKS)
    assert str(address) == text.lower()
    for network in address.networks:
        assert Address.from_script(address.script_pubkey, network) == address


@pytest.mark.parametrize(("text", "script", "script_type", "networks"), VALID_BASE58)
def test_a_published_base58_address_stands_for_its_script(text, script, script_type, networks):
    address = Address.parse(text)
    assert address.script_pubkey == bytes.fromhex(script)
    assert address.script_pubkey.type is script_type
    assert address.networks == networks
    for network in networks:
        assert Address.from_script(address.script_pubkey, network) == address


@pytest.mark.parametrize("text", INVALID, ids=INVALID.values())
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidAddress):
        Address.parse(text)


def test_base58_of_another_length_is_no_address():
    # The valid extended key of BIP 32, test vector 1.
    with pytest.raises(InvalidAddress):
        Address.parse(
            "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD"
            "265TMg7usUDFdp6W1EGMcet8"
        )


def test_base58_with_the_version_of_another_currency_is_refused():
    with pytest.raises(InvalidAddress, match="no Bitcoin network"):
        Address.parse(encode_base58check(b"\x30" + bytes(20)))


def test_a_prefix_of_no_network_behind_one_of_ours_is_refused():
    # Bech32 takes the last 1 for the separator, so this prefix is `bc1bc`; its checksum is right.
    with pytest.raises(InvalidAddress, match="no Bitcoin network"):
        Address.parse("bc1bc1pw50q9k3emv")


def test_case_does_not_matter_for_segwit_addresses():
    upper = Address.parse("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")
    lower = Address.parse("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    assert upper == lower
    assert hash(upper) == hash(lower)


def test_an_address_knows_its_networks():
    address = Address.from_script(bytes.fromhex("51024e73"), Network.REGTEST)
    assert str(address).startswith("bcrt1p")
    assert Address.parse(str(address)) == address
    assert address.is_for(Network.REGTEST)
    assert not address.is_for(Network.SIGNET)


def test_neither_address_nor_script_shows_itself_in_a_repr():
    address = Address.parse("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    assert repr(address) == "<Address for mainnet>"
    assert repr(address.script_pubkey) == str(address.script_pubkey) == "<Script of 22 bytes>"


TYPES = [
    ("P2PK", b"\x21" + KEY + b"\xac", ScriptType.P2PK),
    ("P2PK, long key", b"\x41" + LONG_KEY + b"\xac", ScriptType.P2PK),
    ("P2PK, bad key", b"\x21\x05" + bytes(32) + b"\xac", ScriptType.UNKNOWN),
    ("2 of 3", MULTISIG_2_OF_3, ScriptType.MULTISIG),
    ("17 of 18", MULTISIG_17_OF_18, ScriptType.MULTISIG),
    ("data", b"\x6a\x04data", ScriptType.OP_RETURN),
    ("no data", b"\x6a", ScriptType.OP_RETURN),
    ("data, pushed in four ways", b"\x6a\x51\x4c\x01a\x4d\1\0a\x4e\1\0\0\0a", ScriptType.OP_RETURN),
    ("data, cut", b"\x6a\x05data", ScriptType.UNKNOWN),
    ("data and more", b"\x6a\x51\x61", ScriptType.UNKNOWN),
    ("version 0, 21 bytes", b"\x00\x15" + bytes(21), ScriptType.UNKNOWN),
    ("nothing", b"", ScriptType.UNKNOWN),
    ("version 17", b"\x61\x02\0\0", ScriptType.UNKNOWN),
    ("witness program, cut", b"\x51\x03\0\0", ScriptType.UNKNOWN),
]


@pytest.mark.parametrize(
    ("script", "script_type"), [row[1:] for row in TYPES], ids=[row[0] for row in TYPES]
)
def test_a_script_is_of_the_type_bitcoin_core_gives_it(script, script_type):
    assert Script(script).type is script_type
    with pytest.raises(InvalidAddress):
        Address.from_script(script, Network.MAINNET)


def test_a_multisig_script_gives_its_threshold_and_keys():
    assert Script(MULTISIG_2_OF_3).multisig == (2, (KEY, KEY, KEY))
    assert Script(MULTISIG_17_OF_18).multisig == (17, (KEY,) * 18)
    mixed = b"\x51\x21" + KEY + b"\x41" + LONG_KEY + b"\x52\xae"
    assert Script(mixed).multisig == (1, (KEY, LONG_KEY))


@pytest.mark.parametrize(
    "script",
    [
        b"\xae",
        b"\x51\x51\xae",
        b"\x52\x21" + KEY + b"\x51\xae",
        b"\x51\x21" + KEY + b"\x52\xae",
        b"\x00\x21" + KEY + b"\x51\xae",
        b"\x51\x21\x05" + bytes(32) + b"\x51\xae",
        b"\x51\x21" + KEY + b"\x51\xaf",
        b"\x51" + (b"\x21" + KEY) * 21 + b"\x01\x15\xae",
        b"\x51\x21" + KEY + b"\x01\x01\xae",
    ],
)
def test_what_only_looks_like_multisig_has_no_threshold(script):
    assert Script(script).multisig is None


# Bitcoin Core, src/policy/policy.cpp (GetDustThreshold) and doc/release-notes for P2A.
@pytest.mark.parametrize(
    ("script", "limit"),
    [
        ("76a91465a16059864a2fdbc7c99a4723a8395bc6f188eb88ac", 546),
        ("a91474f209f6ea907e2ea48f74fae05782ae8a66525787", 540),
        ("0014751e76e8199196d454941c45d1b3a323f1433bd6", 294),
        ("00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262", 330),
        ("512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 330),
        ("51024e73", 240),
        ("6a0461616161", 0),
        ("51" * 253, 3 * (8 + 3 + 253 + 148)),
        ("51" * 10_001, 0),
    ],
)
def test_the_dust_limit_is_bitcoin_cores(script, limit):
    assert Script(bytes.fromhex(script)).dust_limit == limit
