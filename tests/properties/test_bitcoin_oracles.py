"""Transactions and addresses agree with rust-bitcoin (through bdkpython) and embit."""

from contextlib import suppress

import bdkpython as bdk
import pytest
from embit.networks import NETWORKS
from embit.script import Script as EmbitScript
from embit.script import address_to_scriptpubkey
from embit.transaction import Transaction as EmbitTransaction
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail.bitcoin.script import Address, Network, Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import MAX_SATS, Sats
from dovetail.errors import InvalidAddress, InvalidTransaction

pytestmark = pytest.mark.property

many = settings(max_examples=1000, deadline=None, derandomize=True, database=None)

BDK_NETWORKS = {
    Network.MAINNET: bdk.Network.BITCOIN,
    Network.TESTNET: bdk.Network.TESTNET,
    Network.SIGNET: bdk.Network.SIGNET,
    Network.REGTEST: bdk.Network.REGTEST,
}
EMBIT_NETWORKS = {
    Network.MAINNET: "main",
    Network.TESTNET: "test",
    Network.SIGNET: "signet",
    Network.REGTEST: "regtest",
}

u32 = st.integers(0, 2**32 - 1)
outpoints = st.builds(OutPoint, st.binary(min_size=32, max_size=32).map(Txid), u32)
scripts = st.binary(max_size=40).map(Script) | st.integers(250, 260).map(lambda n: Script(bytes(n)))
witnesses = st.just(()) | st.lists(st.binary(max_size=80), max_size=4).map(tuple)
inputs = st.lists(
    st.builds(TxIn, outpoints, scripts, u32, witnesses),
    min_size=1,
    max_size=4,
    unique_by=lambda txin: txin.previous_output,
)
outputs = st.lists(
    st.builds(TxOut, st.integers(0, MAX_SATS // 4).map(Sats), scripts), min_size=1, max_size=4
)
transactions = st.builds(Transaction, u32, inputs.map(tuple), outputs.map(tuple), u32)

# Every standard form, witness programs of all versions and sizes, and their neighbours.
programs = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda h: b"\x76\xa9\x14" + h + b"\x88\xac"),
    st.binary(min_size=20, max_size=20).map(lambda h: b"\xa9\x14" + h + b"\x87"),
    st.tuples(st.sampled_from([0, *range(0x4F, 0x62)]), st.binary(min_size=1, max_size=41)).map(
        lambda parts: bytes([parts[0], len(parts[1])]) + parts[1]
    ),
    st.tuples(st.sampled_from([0x00, 0x51]), st.sampled_from([20, 32]), st.binary(max_size=32)).map(
        lambda parts: bytes([parts[0], parts[1]]) + parts[2].ljust(parts[1], b"\1")[: parts[1]]
    ),
)


@many
@given(transactions)
def test_a_transaction_has_the_bytes_ids_and_weight_that_others_give_it(transaction):
    data = transaction.serialize()
    assert Transaction.parse(data) == transaction

    theirs = bdk.Transaction(data)
    assert theirs.serialize() == data
    assert str(theirs.compute_txid()) == str(transaction.txid)
    assert str(theirs.compute_wtxid()) == str(transaction.wtxid)
    assert theirs.weight() == transaction.weight
    assert theirs.vsize() == transaction.weight.vbytes
    assert theirs.lock_time() == transaction.lock_time
    for mine, other in zip(transaction.outputs, theirs.output(), strict=True):
        assert other.value.to_sat() == mine.value
        assert other.script_pubkey.to_bytes() == mine.script_pubkey
    for spent, given_input in zip(transaction.contested(), theirs.input(), strict=True):
        assert str(given_input.previous_output.txid) == str(spent.txid)
        assert given_input.previous_output.vout == spent.vout

    assert EmbitTransaction.parse(data).txid()[::-1] == transaction.txid


def is_impossible(transaction):
    """Whether a rule that rust-bitcoin leaves to others forbids the transaction."""
    spent = [(str(i.previous_output.txid), i.previous_output.vout) for i in transaction.input()]
    total = sum(output.value.to_sat() for output in transaction.output())
    return not transaction.output() or len(set(spent)) < len(spent) or total > MAX_SATS


@many
@given(transactions, st.lists(st.tuples(u32, st.integers(0, 2), st.binary(max_size=2)), max_size=3))
def test_a_changed_transaction_is_taken_or_refused_as_by_rust_bitcoin(transaction, changes):
    data = transaction.serialize()
    for place, removed, added in changes:
        start = place % len(data)
        data = data[:start] + added + data[start + removed :]
    theirs = ours = None
    with suppress(bdk.TransactionError):
        theirs = bdk.Transaction(data)
    with suppress(InvalidTransaction):
        ours = Transaction.parse(data)
    if ours is None:
        assert theirs is None or is_impossible(theirs)
    else:
        assert theirs is not None
        assert str(theirs.compute_txid()) == str(ours.txid)


@many
@given(programs, st.sampled_from(Network))
def test_a_script_has_the_address_that_others_give_it(data, network):
    ours = theirs = None
    with suppress(InvalidAddress):
        ours = str(Address.from_script(data, network))
    with suppress(bdk.FromScriptError):
        theirs = str(bdk.Address.from_script(bdk.Script(data), BDK_NETWORKS[network]))
    assert ours == theirs
    script = EmbitScript(data)
    if script.script_type() is not None:
        assert ours == script.address(NETWORKS[EMBIT_NETWORKS[network]])
        assert address_to_scriptpubkey(ours).data == data


@many
@given(
    programs,
    st.sampled_from(Network),
    st.integers(0, 100),
    st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7lQPZ1bioBO0 "),
    st.booleans(),
    st.booleans(),
)
def test_text_is_an_address_where_rust_bitcoin_takes_it_for_one(
    data, network, place, character, change, upper
):
    try:
        text = str(Address.from_script(data, network))
    except InvalidAddress:
        return
    if change:
        start = place % len(text)
        text = text[:start] + character + text[start + 1 :]
    if upper:
        text = text.upper()
    for wanted, theirs in BDK_NETWORKS.items():
        expected = found = None
        with suppress(bdk.AddressParseError):
            expected = bdk.Address(text, theirs).script_pubkey().to_bytes()
        with suppress(InvalidAddress):
            address = Address.parse(text)
            found = address.script_pubkey if address.is_for(wanted) else None
        assert found == expected
