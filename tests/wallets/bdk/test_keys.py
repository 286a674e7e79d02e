import pytest

from dovetail.bitcoin import Network, ScriptType
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import ConfigurationError, WalletError
from dovetail.wallets.bdk.keys import (
    descriptors,
    new_mnemonic,
    secret_from_descriptors,
    secret_from_mnemonic,
)
from dovetail.wallets.wallet_file import Secret

WORDS = "abandon " * 11 + "about"
FIRST_ADDRESSES = {
    # BIP 84, BIP 86 and BIP 49 (on testnet), Test vectors; BIP 44 has none of its own.
    (ScriptType.P2WPKH, Network.MAINNET): "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
    (ScriptType.P2TR, Network.MAINNET): (
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
    ),
    (ScriptType.P2SH, Network.TESTNET): "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2",
}


@pytest.mark.parametrize(("kind", "network"), FIRST_ADDRESSES)
def test_the_first_address_is_that_of_the_bips_vectors(kind, network):
    secret = secret_from_mnemonic(WORDS, network, kind)
    external, _ = descriptors(secret)
    from bdkpython import Network as BdkNetwork  # noqa: PLC0415  only this test needs it

    names = {Network.MAINNET: BdkNetwork.BITCOIN, Network.TESTNET: BdkNetwork.TESTNET}
    assert str(external.derive_address(0, names[network])) == FIRST_ADDRESSES[kind, network]
    assert secret.kind == kind.name


def test_new_words_come_from_the_entropy_given():
    # BIP 39's reference vectors: 16 zero bytes.
    assert new_mnemonic(bytes) == WORDS
    assert new_mnemonic(SeededEntropy(b"one")) != new_mnemonic(SeededEntropy(b"two"))


def test_case_and_spaces_between_words_do_not_matter():
    untidy = "  " + WORDS.upper().replace(" ", "\n ")
    tidy = secret_from_mnemonic(WORDS, Network.REGTEST, ScriptType.P2TR)
    assert secret_from_mnemonic(untidy, Network.REGTEST, ScriptType.P2TR) == tidy


@pytest.mark.parametrize("words", ["", "secret", "abandon " * 12, "secret " * 12])
def test_wrong_words_are_refused_without_quoting_them(words):
    with pytest.raises(ConfigurationError, match="BIP 39") as caught:
        secret_from_mnemonic(words, Network.REGTEST, ScriptType.P2WPKH)
    assert caught.value.__cause__ is None


def test_a_script_type_of_more_keys_is_refused():
    with pytest.raises(ConfigurationError, match="script type"):
        secret_from_mnemonic(WORDS, Network.REGTEST, ScriptType.P2WSH)


@pytest.mark.parametrize(
    "kind", [ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH]
)
def test_exported_descriptors_make_the_same_wallet(kind):
    secret = secret_from_mnemonic(WORDS, Network.REGTEST, kind)
    imported = secret_from_descriptors(secret.external, secret.internal, Network.REGTEST)
    assert imported.kind == kind.name
    assert imported.mnemonic is None
    assert list(map(str, descriptors(imported))) == list(map(str, descriptors(secret)))


def _pair(kind=ScriptType.P2WPKH):
    secret = secret_from_mnemonic(WORDS, Network.REGTEST, kind)
    return secret.external, secret.internal


def test_descriptors_that_cannot_pay_are_refused():
    external, internal = _pair()
    public = str(descriptors(secret_from_descriptors(external, internal, Network.REGTEST))[0])
    fixed = external.split("#")[0].replace("/0/*", "/0/1")
    for wrong in (public, fixed):
        with pytest.raises(ConfigurationError, match="private keys"):
            secret_from_descriptors(wrong, internal, Network.REGTEST)


def test_payments_and_change_need_two_descriptors_of_one_type():
    external, _ = _pair()
    with pytest.raises(ConfigurationError, match="same descriptor"):
        secret_from_descriptors(external, external, Network.REGTEST)
    with pytest.raises(ConfigurationError, match="one key each"):
        secret_from_descriptors(external, _pair(ScriptType.P2TR)[1], Network.REGTEST)


def test_a_descriptor_of_more_keys_is_refused():
    external, internal = (each.split("#")[0][5:-1] for each in _pair())
    first, second = (f"wsh(multi(1,{key}))" for key in (external, internal))
    with pytest.raises(ConfigurationError, match="one key each"):
        secret_from_descriptors(first, second, Network.REGTEST)


def test_text_that_is_no_descriptor_is_refused_without_quoting_it():
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        secret_from_descriptors("wpkh(secret)", "secret", Network.REGTEST)
    assert "secret" not in str(caught.value)
    external, internal = _pair()
    with pytest.raises(ConfigurationError, match="cannot be read for this network"):
        secret_from_descriptors(external, internal, Network.MAINNET)


def test_descriptors_that_were_tampered_with_are_damaged():
    secret = Secret(
        network=Network.REGTEST, kind="P2TR", mnemonic=None, external="tr()", internal="tr()"
    )
    with pytest.raises(WalletError, match="damaged"):
        descriptors(secret)
