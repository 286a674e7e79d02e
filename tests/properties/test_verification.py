"""Signatures as we verify them, against embit's signer and Bitcoin Core's consensus code."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.test_psbt_signing import COINS, accepted, sign, unsigned

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.sighash import ALL, ANYONECANPAY, NONE, SINGLE
from dovetail.bitcoin.units import Sats
from dovetail.protocol.verification import Verdict, verify

pytestmark = pytest.mark.property

KINDS = [bits | base for bits in (0, ANYONECANPAY) for base in (ALL, NONE, SINGLE)]
NAMES = sorted(COINS)


def signed(names: list[str], kinds: list[int]) -> Psbt:
    # One funding transaction a kind of coin, so that no kind may come twice.
    coins = [COINS[name] for name in names]
    psbt = unsigned(coins)
    for index, coin in enumerate(coins):
        kind = ALL if coin.taproot else kinds[index % len(kinds)]
        psbt = psbt.with_input(index, sign(psbt, index, coin, kind))
    finished: Psbt = psbt.finalize()
    return finished


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True), st.data())
def test_what_was_signed_is_valid_to_us_and_to_consensus(
    names: list[str], data: st.DataObject
) -> None:
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    # SINGLE without an output is a legacy oddity that embit does not sign.
    psbt = signed(names, [kind if len(names) == 1 else kind & ~SINGLE | ALL for kind in kinds])
    assert accepted(psbt)
    assert verify(psbt.extract(), psbt.utxos()) is Verdict.VALID


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), st.data())
def test_what_is_valid_to_us_is_valid_to_consensus(names: list[str], data: st.DataObject) -> None:
    psbt = signed(names, [ALL])
    index = data.draw(st.integers(0, len(names) - 1))
    script_sig = bytearray(psbt.inputs[index].final_script_sig or b"")
    witness = [bytearray(item) for item in psbt.inputs[index].final_script_witness or ()]
    target = data.draw(st.sampled_from([each for each in (script_sig, *witness) if each]))
    target[data.draw(st.integers(0, len(target) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    final = psbt.inputs[index].with_final(bytes(script_sig), tuple(map(bytes, witness)))
    spoilt = psbt.with_input(index, final)
    assert verify(spoilt.extract(), psbt.utxos()) is not Verdict.VALID
    assert not accepted(spoilt)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([name for name in NAMES if "W" in name or name == "P2TR"]), st.data())
def test_no_amount_but_the_true_one_is_valid(name: str, data: st.DataObject) -> None:
    psbt = signed([name], [ALL])
    value = data.draw(st.integers(1, 200_000).filter(lambda sats: sats != psbt.utxo(0).value))
    claimed = replace(psbt.utxo(0), value=Sats(value))
    assert verify(psbt.extract(), [claimed]) is Verdict.INVALID
