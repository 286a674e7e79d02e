"""Public descriptors of a shop, and what is wrong with others."""

import pytest
from tests.merchant.signer.deals import cold_descriptor, hot_secret

from dovetail.bitcoin import Address, Network, ScriptType
from dovetail.errors import ConfigurationError
from dovetail.merchant.wallet import descriptors
from dovetail.merchant.wallet.descriptors import check_descriptor, script_at
from dovetail.wallets.bdk.keys import public, secret_from_mnemonic

HOT = public(hot_secret())[0]
WORDS = " ".join(["abandon"] * 11 + ["about"])


@pytest.mark.parametrize("text", [HOT, cold_descriptor(), f"  {HOT}\n", HOT.partition("#")[0]])
def test_a_public_ranged_descriptor_is_taken_with_its_checksum(text: str):
    checked = check_descriptor(text, Network.REGTEST)
    assert checked == check_descriptor(checked, Network.REGTEST)
    assert "#" in checked


@pytest.mark.parametrize(
    ("text", "network", "why"),
    [
        (hot_secret().external, Network.REGTEST, "private key"),
        (HOT, Network.MAINNET, "not for"),
        (HOT.replace("tpub", "xpub"), Network.REGTEST, "not for"),
        (HOT.replace("/0/*", "/0/5").partition("#")[0], Network.REGTEST, "one chain of addresses"),
        (HOT.replace("/0/*", "/<0;1>/*").partition("#")[0], Network.REGTEST, "one chain of"),
        (HOT[:-1] + ("q" if HOT[-1] != "q" else "p"), Network.REGTEST, "cannot be read"),
        ("", Network.REGTEST, "cannot be read"),
        ("wpkh(nonsense)", Network.REGTEST, "cannot be read"),
        ("a" * 100_000, Network.REGTEST, "cannot be read"),
        (
            public(secret_from_mnemonic(WORDS, Network.REGTEST, ScriptType.P2PKH))[0],
            Network.REGTEST,
            "kind wpkh or tr",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_the_setting(
    text: str, network: Network, why: str
):
    with pytest.raises(ConfigurationError, match=why) as raised:
        check_descriptor(text, network, name="cold")
    assert "`cold`" in str(raised.value)
    assert "pub" not in str(raised.value).replace("xpub…", "").replace("public", "")
    assert raised.value.__cause__ is None, "the cause quotes the keys (P4)"


def test_each_index_has_a_script_of_its_own():
    scripts = {script_at(HOT, Network.REGTEST, index) for index in range(50)}
    assert len(scripts) == 50
    assert script_at(HOT, Network.REGTEST, 7) in scripts
    assert script_at(cold_descriptor(), Network.REGTEST, 7).type is ScriptType.P2TR


ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31m"
    "GDtKsAYz2oz2AGutZYs"
)
XPUB = (
    "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZ"
    "XYVUhLv1VMrjPC7PW6V"
)
FIRST = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
"""Keys of account 0 and the first address of the words of BIP 84's test vectors."""


@pytest.mark.parametrize(
    "text", [ZPUB, f" {ZPUB}\n", XPUB, f"wpkh({XPUB}/0/*)", f"wpkh({XPUB}/<0;1>/*)"]
)
def test_cold_storage_is_read_from_what_wallets_export(text: str):
    found = descriptors.cold_descriptor(text, Network.MAINNET, name="cold")
    assert found.startswith(f"wpkh({XPUB}/0/*)#")
    script = descriptors.script_at(found, Network.MAINNET, 0)
    assert str(Address.from_script(script, Network.MAINNET)) == FIRST


@pytest.mark.parametrize(
    ("text", "network", "words"),
    [
        (ZPUB, Network.SIGNET, "The keys of `cold` are not for signet"),
        (XPUB[:-1], Network.MAINNET, "`cold` is neither a public descriptor"),
        (f"{XPUB[:-1]}x", Network.MAINNET, "`cold` is neither a public descriptor"),
        ("bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", Network.MAINNET, "`cold` is neither"),
        (f"wpkh({XPUB}/<0;1>/*)#aaaaaaaa", Network.MAINNET, "`cold` cannot be read"),
        (f"sh(wpkh({XPUB}/0/*))", Network.MAINNET, "`cold` must be of the kind wpkh or tr"),
    ],
)
def test_what_is_no_cold_storage_is_refused(text: str, network: Network, words: str):
    with pytest.raises(ConfigurationError, match=words) as caught:
        descriptors.cold_descriptor(text, network, name="cold")
    assert text not in str(caught.value)
