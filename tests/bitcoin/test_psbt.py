import tracemalloc
from dataclasses import replace

import pytest
from tests.bitcoin.psbt_builders import (
    P2TR,
    P2WPKH,
    funding,
    input_of,
    paying_from,
    serialize,
    spending,
    transaction,
)

from dovetail.bitcoin.psbt import KeyMap, Psbt, PsbtGlobal, PsbtInput, PsbtOutput
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidPsbt

TXOUT = TxOut(Sats(100_000), P2WPKH)


def test_a_psbt_begins_with_its_magic():
    with pytest.raises(InvalidPsbt, match="not a PSBT"):
        Psbt.parse(b"psbt\xfe" + serialize()[5:])


def test_nothing_may_follow_a_psbt():
    with pytest.raises(InvalidPsbt, match="goes on"):
        Psbt.parse(serialize() + b"\x00")


def test_a_prefix_is_cut_where_the_psbt_ends():
    data = serialize()
    psbt, used = Psbt.parse_prefix(data + bytes(100))
    assert psbt == Psbt.parse(data)
    assert used == len(data)


def test_every_truncation_is_refused():
    data = serialize([(b"\x55", b"x" * 300)], [(b"\x08", b"\x01\x01\x51")], [(b"\x00", b"\x51")])
    for size in range(len(data)):
        with pytest.raises(InvalidPsbt):
            Psbt.parse(data[:size])


def test_a_length_in_a_longer_form_than_needed_is_refused():
    for field in (b"\x01\x55\xfd\x01\x00v", b"\xfd\x01\x00\x55\x01v"):
        with pytest.raises(InvalidPsbt):
            Psbt.parse(serialize()[:-1] + field + b"\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"psbt\xff\xff" + b"\xff" * 8,
        b"psbt\xff\x01\x55\xff" + b"\xff" * 8,
        b"psbt\xff\x01\x00\x0d" + bytes(4) + b"\xfe\xff\xff\xff\xff" + bytes(4),
        b"psbt\xff\x01\x00\x0e" + bytes(5) + b"\xfe\xff\xff\xff\xff" + bytes(4),
    ],
)
def test_a_count_from_the_wire_allocates_nothing(data):
    tracemalloc.start()
    with pytest.raises(InvalidPsbt):
        Psbt.parse(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("spoil", ["{}\n", " {}", "{}=", "{}!", "{}é", "-{}"])
def test_base64_is_taken_in_its_usual_form_only(spoil):
    text = Psbt.parse(serialize()).to_base64()
    with pytest.raises(InvalidPsbt, match="base64"):
        Psbt.from_base64(spoil.format(text))


def test_base64_with_stray_bits_is_refused():
    text = Psbt.parse(serialize([(b"\x55", b"x")])).to_base64()
    assert text.endswith("AA==")
    with pytest.raises(InvalidPsbt, match="usual base64"):
        Psbt.from_base64(text[:-4] + "AB==")


def test_base64_comes_back():
    psbt = Psbt.parse(serialize())
    assert Psbt.from_base64(psbt.to_base64()) == psbt


def test_a_psbt_made_from_a_transaction_is_empty():
    unsigned = transaction(inputs=2, outputs=3)
    psbt = Psbt.from_unsigned(unsigned)
    assert psbt.unsigned_transaction == unsigned
    assert psbt.inputs == (PsbtInput(),) * 2
    assert psbt.outputs == (PsbtOutput(),) * 3
    assert not psbt.is_finalized
    assert Psbt.parse(psbt.serialize()) == psbt


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 2), (3, 2), (2, 1), (2, 3)])
def test_there_is_one_map_for_each_input_and_output(inputs, outputs):
    header = PsbtGlobal.of(transaction(inputs=2, outputs=2))
    with pytest.raises(InvalidPsbt, match="one map for each"):
        Psbt(header, (PsbtInput(),) * inputs, (PsbtOutput(),) * outputs)


def test_a_previous_transaction_that_is_not_the_one_spent_is_refused():
    psbt = spending(funding())
    other = PsbtInput().with_non_witness_utxo(funding(value=7))
    with pytest.raises(InvalidPsbt, match="not the one"):
        psbt.with_input(0, other)
    data = psbt.serialize()[:-2] + b"\x01\x00" + bytes([len(funding(value=7).serialize())])
    with pytest.raises(InvalidPsbt, match="not the one"):
        Psbt.parse(data + funding(value=7).serialize() + b"\x00\x00")


def test_a_previous_transaction_must_have_the_output_spent():
    psbt = spending(funding(), vout=2)
    with pytest.raises(InvalidPsbt, match="not the one"):
        psbt.with_input(0, PsbtInput().with_non_witness_utxo(funding()))


def test_the_utxo_is_taken_from_the_previous_transaction():
    assert paying_from(P2TR).utxo(0) == TxOut(Sats(100_000), P2TR)


def test_the_utxo_may_be_told_alone():
    psbt = Psbt.from_unsigned(transaction(inputs=2))
    for index in range(2):
        psbt = psbt.with_input(index, PsbtInput().with_witness_utxo(TXOUT))
    assert psbt.utxos() == (TXOUT, TXOUT)


def test_two_utxos_that_agree_are_taken():
    psbt = paying_from(P2WPKH)
    both = psbt.with_input(0, psbt.inputs[0].with_witness_utxo(TXOUT))
    assert both.utxo(0) == TXOUT


@pytest.mark.parametrize("lie", [TxOut(Sats(99_999), P2WPKH), TxOut(Sats(100_000), P2TR)])
def test_two_utxos_that_differ_are_refused(lie):
    psbt = paying_from(P2WPKH)
    lying = psbt.with_input(0, psbt.inputs[0].with_witness_utxo(lie))
    with pytest.raises(InvalidPsbt, match="two different UTXOs"):
        lying.utxo(0)


def test_an_unknown_utxo_is_an_error():
    with pytest.raises(InvalidPsbt, match="does not hold"):
        Psbt.from_unsigned(transaction()).utxos()


def test_the_fee_is_what_the_outputs_leave():
    assert paying_from(P2WPKH).fee == Sats(10_000)


def test_the_fee_is_that_of_the_maps_that_were_exchanged():
    psbt = paying_from(P2WPKH)
    assert psbt.fee == Sats(10_000)
    richer = psbt.with_input(0, PsbtInput().with_witness_utxo(TxOut(Sats(100_001), P2WPKH)))
    assert richer.fee == richer.fee == Sats(10_001)
    assert psbt.fee == Sats(10_000)


def test_a_negative_fee_is_an_error():
    psbt = Psbt.from_unsigned(transaction(value=100_001))
    overdrawn = psbt.with_input(0, PsbtInput().with_witness_utxo(TXOUT))
    with pytest.raises(InvalidPsbt, match="worth more than its inputs"):
        _ = overdrawn.fee


def test_a_sum_above_all_money_is_an_error():
    rich = PsbtInput().with_witness_utxo(TxOut(Sats(2_100_000_000_000_000), P2WPKH))
    psbt = Psbt.from_unsigned(transaction(inputs=2))
    with pytest.raises(InvalidPsbt):
        _ = psbt.with_input(0, rich).with_input(1, rich).fee


def test_one_map_can_be_exchanged():
    psbt = Psbt.from_unsigned(transaction(inputs=2, outputs=2))
    told = PsbtInput().with_witness_utxo(TXOUT)
    named = PsbtOutput(KeyMap(((b"\x55", b"x"),)))
    changed = psbt.with_input(1, told).with_output(1, named)
    assert changed.inputs == (PsbtInput(), told)
    assert changed.outputs == (PsbtOutput(), named)
    assert psbt == Psbt.from_unsigned(transaction(inputs=2, outputs=2))


def test_another_transaction_keeps_the_other_global_fields():
    psbt = Psbt.parse(serialize([(b"\x55", b"kept")]))
    larger = transaction(inputs=2, outputs=2)
    changed = psbt.with_transaction(larger, (PsbtInput(),) * 2, (PsbtOutput(),) * 2)
    assert changed.unsigned_transaction == larger
    assert changed.global_map.map.get(0x55) == b"kept"
    assert Psbt.parse(changed.serialize()) == changed


def test_combining_different_transactions_is_refused():
    psbt = Psbt.from_unsigned(transaction())
    with pytest.raises(InvalidPsbt, match="different transactions"):
        psbt.combine(Psbt.from_unsigned(transaction(value=1)))


def test_combining_unites_every_map():
    mine = Psbt.parse(serialize([(b"\x55", b"1")], [(b"\x55", b"2")], [(b"\x55", b"3")]))
    theirs = Psbt.parse(serialize([(b"\x56", b"4")], [(b"\x56", b"5")], [(b"\x56", b"6")]))
    united = Psbt.parse(
        serialize(
            [(b"\x55", b"1"), (b"\x56", b"4")],
            [(b"\x55", b"2"), (b"\x56", b"5")],
            [(b"\x55", b"3"), (b"\x56", b"6")],
        )
    )
    assert mine.combine(theirs) == theirs.combine(mine) == united


def test_combining_keeps_our_value_in_a_conflict():
    ours = Psbt.parse(serialize(input_entries=[(b"\x55", b"ours")]))
    theirs = Psbt.parse(serialize(input_entries=[(b"\x55", b"theirs")]))
    assert ours.combine(theirs) == ours


def test_only_a_final_psbt_can_be_extracted():
    psbt = Psbt.from_unsigned(transaction(inputs=2))
    half = psbt.with_input(0, PsbtInput().with_final(b"\x51"))
    assert not half.is_finalized
    with pytest.raises(InvalidPsbt, match="not final"):
        half.extract()


def test_a_psbt_without_inputs_is_never_final():
    assert not Psbt.from_unsigned(Transaction(2, (), (TXOUT,), 0)).is_finalized


def test_extracting_puts_the_final_scripts_into_the_transaction():
    unsigned = transaction(inputs=2)
    psbt = Psbt.from_unsigned(unsigned)
    final = psbt.with_input(0, PsbtInput().with_final(b"\x51"))
    final = final.with_input(1, PsbtInput().with_final(b"", (b"a", b"")))
    assert final.is_finalized
    extracted = final.extract()
    assert [(txin.script_sig, txin.witness) for txin in extracted.inputs] == [
        (b"\x51", ()),
        (b"", (b"a", b"")),
    ]
    assert extracted.without_signatures() == unsigned


def test_a_psbt_is_a_value_and_shows_counts_only():
    psbt = Psbt.parse(serialize())
    assert psbt == Psbt.parse(serialize())
    assert len({psbt, Psbt.parse(serialize())}) == 1
    assert repr(psbt) == "<Psbt of 1 inputs, 0 final, 1 outputs>"


def test_a_transaction_that_spends_an_output_twice_is_refused():
    doubled = replace(transaction(), inputs=(TxIn(OutPoint(funding().txid, 0)),) * 2)
    with pytest.raises(InvalidPsbt, match="could not be read back"):
        Psbt.from_unsigned(doubled)


def test_no_error_shows_what_the_psbt_holds():
    secret = b"\x02" + b"\xab" * 32
    with pytest.raises(InvalidPsbt) as refused:
        input_of((b"\x02" + secret, b"\xcd" * 70))
    assert "abab" not in str(refused.value)
    assert "cdcd" not in str(refused.value)
