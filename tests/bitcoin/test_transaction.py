from dataclasses import replace

import pytest

from dovetail.bitcoin.encoding import Reader, compact_size
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import MAX_SATS, Sats
from dovetail.errors import InvalidTransaction

# The first payment between two people, in block 170 of the main chain; its id is below.
FIRST_PAYMENT = (
    "0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd37040000000048473044"
    "02204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de48"
    "60a4acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09"
    "c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a"
    "0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a38"
    "2e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3"
    "ac00000000"
)
FIRST_PAYMENT_TXID = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"

# BIP 143, "Native P2WPKH": the unsigned and the signed transaction.
P2WPKH_UNSIGNED = (
    "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffff"
    "ffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202c"
    "b206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143b"
    "de42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
)
P2WPKH_SIGNED = (
    "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f000000004948"
    "30450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3"
    "f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3a"
    "a89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df3"
    "78db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f016"
    "7faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a"
    "0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368d"
    "a1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000"
)
# BIP 143, "P2SH-P2WPKH", signed.
P2SH_P2WPKH_SIGNED = (
    "01000000000101db6b1b20aa0fd7b23880be2ecbd4a98130974cf4748fb66092ac4d3ceb1a5477010000001716"
    "001479091972186c449eb1ded22b78e40d009bdf0089feffffff02b8b4eb0b000000001976a914a457b684d7f0"
    "d539a46a45bbc043f35b59d0d96388ac0008af2f000000001976a914fd270b1ee6abcaea97fea7ad0402e8bd8a"
    "d6d77c88ac02473044022047ac8e878352d3ebbde1c94ce3a10d057c24175747116f8288e5d794d12d482f0220"
    "217f36a485cae903c713331d877c1f64677e3622ad4010726870540656fe9dcb012103ad1d8e89212f0b92c74d"
    "23bb710c00662ad1470198ac48c43f7d6f93a2a2687392040000"
)
# BIP 143, "Native P2WSH", the first example, signed.
P2WSH_SIGNED = (
    "01000000000102fe3dc9208094f3ffd12645477b3dc56f60ec4fa8e6f5d67c565d1c6b9216b36e000000004847"
    "304402200af4e47c9b9629dbecc21f73af989bdaa911f7e6f6c2e9394588a3aa68f81e9902204f3fcf6ade7e5a"
    "bb1295b6774c8e0abd94ae62217367096bc02ee5e435b67da201ffffffff0815cf020f013ed6cf91d29f4202e8"
    "a58726b1ac6c79da47c23d1bee0a6925f80000000000ffffffff0100f2052a010000001976a914a30741f8145e"
    "5acadf23f751864167f32e0963f788ac000347304402200de66acf4527789bfda55fc5459e214fa6083f936b43"
    "0a762c629656216805ac0220396f550692cd347171cbc1ef1f51e15282e837bb2b30860dc77c8f78bc8501e503"
    "473044022027dc95ad6b740fe5129e7e62a75dd00f291a2aeb1200b84b09d9e3789406b6c002201a9ecd315dd6"
    "a0e632ab20bbb98948bc0c6fb204f2c286963bb48517a7058e27034721026dccc749adc2a9d0d89497ac511f76"
    "0f45c47dc5ed9cf352a58ac706453880aeadab210255a9626aebf5e29c0e6538428ba0d1dcf6ca98ffdf086aa8"
    "ced5e0d0215ea465ac00000000"
)
# A payment on the main chain; its ids and weight, as any explorer shows them, are below.
SEGWIT_PAYMENT = (
    "02000000000101595895ea20179de87052b4046dfe6fd515860505d6511a9004cf12a1f93cac7c0100000000ff"
    "ffffff01deb807000000000017a9140f3444e271620c736808aa7b33e370bd87cb5a078702483045022100fb60"
    "dad8df4af2841adc0346638c16d0b8035f5e3f3753b88db122e70c79f9370220756e6633b17fd2710e626347d2"
    "8d60b0a2d6cbb41de51740644b9fb3ba7751040121028fa937ca8cba2197a37c007176ed8941055d3bcb8627d0"
    "85e94553e62f057dcc00000000"
)
SEGWIT_PAYMENT_TXID = "f5864806e3565c34d1b41e716f72609d00b55ea5eac5b924c9719a842ef42206"
SEGWIT_PAYMENT_WTXID = "80b7d8a82d5d5bf92905b06f2014dd699e03837ca172e3a59d51426ebbe3e7f5"
SEGWIT_PAYMENT_WEIGHT = 442

PUBLISHED = [
    FIRST_PAYMENT,
    P2WPKH_UNSIGNED,
    P2WPKH_SIGNED,
    P2SH_P2WPKH_SIGNED,
    P2WSH_SIGNED,
    SEGWIT_PAYMENT,
]

OUTPOINT = OutPoint(Txid(bytes(32)), 0)
TXIN = TxIn(OUTPOINT)
TXOUT = TxOut(Sats(1000), Script(b"\x51"))
SMALLEST = Transaction(2, (TXIN,), (TXOUT,), 0)


def parse(text):
    return Transaction.parse(bytes.fromhex(text))


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_transactions_are_written_as_they_were_read(text):
    assert parse(text).serialize().hex() == text


def test_a_transaction_without_witnesses_has_one_id():
    transaction = parse(FIRST_PAYMENT)
    assert str(transaction.txid) == FIRST_PAYMENT_TXID
    assert transaction.wtxid == transaction.txid
    assert transaction.weight == 4 * len(bytes.fromhex(FIRST_PAYMENT))
    assert [txout.value.to_btc() for txout in transaction.outputs] == ["10", "40"]
    assert transaction.outputs[0].script_pubkey.type is ScriptType.P2PK


def test_a_transaction_with_witnesses_has_two_ids_and_a_lower_weight():
    transaction = parse(SEGWIT_PAYMENT)
    assert str(transaction.txid) == SEGWIT_PAYMENT_TXID
    assert transaction.txid is transaction.txid
    assert str(transaction.wtxid) == SEGWIT_PAYMENT_WTXID
    assert transaction.weight == SEGWIT_PAYMENT_WEIGHT


def test_the_parts_of_a_transaction_are_where_bip_143_says():
    transaction = parse(P2WPKH_SIGNED)
    assert transaction.version == 1
    assert transaction.lock_time == 17
    first, second = transaction.inputs
    assert first.sequence == 0xFFFFFFEE
    assert len(first.script_sig) == 73
    assert first.witness == ()
    assert second.previous_output.vout == 1
    assert [len(item) for item in second.witness] == [71, 33]
    assert [int(txout.value) for txout in transaction.outputs] == [112_340_000, 223_450_000]


def test_taking_the_signatures_off_gives_the_unsigned_transaction():
    signed = parse(P2WPKH_SIGNED)
    assert signed.without_signatures() == parse(P2WPKH_UNSIGNED)
    assert signed.serialize(witness=False) != bytes.fromhex(P2WPKH_UNSIGNED)
    assert signed.without_signatures().txid != signed.txid


def test_a_transaction_tells_which_outpoints_it_contests():
    transaction = parse(P2WPKH_SIGNED)
    first, second = transaction.contested()
    assert transaction.spends(second) == 1
    assert transaction.spends(first) == 0
    assert transaction.spends(OUTPOINT) is None


def test_a_transaction_inside_other_data_is_found_by_its_offset():
    data = bytes.fromhex(P2WSH_SIGNED)
    transaction, end = Transaction.parse_prefix(b"ab" + data + b"cd", 2)
    assert transaction == Transaction.parse(data)
    assert end == 2 + len(data)


@pytest.mark.parametrize("text", PUBLISHED)
def test_a_cut_transaction_is_refused_wherever_it_is_cut(text):
    data = bytes.fromhex(text)
    for end in range(len(data)):
        with pytest.raises(InvalidTransaction):
            Transaction.parse(data[:end])


@pytest.mark.parametrize("text", PUBLISHED)
def test_trailing_bytes_are_refused(text):
    with pytest.raises(InvalidTransaction):
        parse(text + "00")


def test_a_witness_marker_without_witnesses_is_refused():
    body = SMALLEST.serialize()
    data = body[:4] + b"\0\1" + body[4:-4] + b"\0" + body[-4:]
    with pytest.raises(InvalidTransaction, match="witness marker"):
        Transaction.parse(data)


def test_another_witness_flag_is_refused():
    data = bytes.fromhex(SEGWIT_PAYMENT)
    with pytest.raises(InvalidTransaction):
        Transaction.parse(data[:5] + b"\2" + data[6:])


def test_a_count_in_a_longer_form_is_refused():
    data = SMALLEST.serialize()
    with pytest.raises(InvalidTransaction, match="longer form"):
        Transaction.parse(data[:4] + b"\xfd\1\0" + data[5:])


@pytest.mark.parametrize(
    "transaction",
    [
        replace(SMALLEST, inputs=()),
        replace(SMALLEST, outputs=()),
        replace(SMALLEST, inputs=(TXIN, TXIN)),
        replace(SMALLEST, outputs=(TxOut(Sats(MAX_SATS), TXOUT.script_pubkey), TXOUT)),
        replace(SMALLEST, inputs=(replace(TXIN, script_sig=bytes(4_000_000)),)),
    ],
    ids=["no input", "no output", "one outpoint twice", "too much in sum", "too long"],
)
def test_what_could_never_be_mined_is_refused(transaction):
    with pytest.raises(InvalidTransaction):
        Transaction.parse(transaction.serialize())


def test_an_output_above_all_bitcoins_is_refused():
    data = SMALLEST.serialize()
    value = Sats(1000).to_bytes(8, "little")
    with pytest.raises(InvalidTransaction, match="more than 21 million"):
        Transaction.parse(data.replace(value, b"\xff" * 8))


def test_a_huge_count_is_refused_before_anything_is_built():
    with pytest.raises(InvalidTransaction, match="more than it holds"):
        Transaction.parse(bytes(3) + b"\2" + compact_size(2**64 - 1) + bytes(100))


@pytest.mark.parametrize("empty", [{"inputs": ()}, {"outputs": ()}, {"inputs": (), "outputs": ()}])
def test_the_older_form_may_lack_inputs_and_outputs(empty):
    transaction = replace(SMALLEST, **empty)
    assert Transaction.parse_without_witness(transaction.serialize()) == transaction


def test_the_older_form_has_no_witness_marker():
    with pytest.raises(InvalidTransaction):
        Transaction.parse_without_witness(bytes.fromhex(SEGWIT_PAYMENT))
    with pytest.raises(InvalidTransaction):
        Transaction.parse_without_witness(SMALLEST.serialize() + b"\0")


def test_version_and_lock_time_are_unsigned():
    extreme = Transaction(2**32 - 1, (TXIN,), (TXOUT,), 2**32 - 1)
    assert Transaction.parse(extreme.serialize()) == extreme


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(SMALLEST, version=-1),
        lambda: replace(SMALLEST, lock_time=2**32),
        lambda: OutPoint(OUTPOINT.txid, -1),
        lambda: OutPoint(OUTPOINT.txid, 2**32),
        lambda: TxIn(OUTPOINT, sequence=2**32),
        lambda: Txid(bytes(31)),
    ],
)
def test_numbers_and_ids_that_do_not_fit_are_refused(make):
    with pytest.raises(InvalidTransaction):
        make()


def test_a_txid_reads_and_shows_itself_in_reverse():
    txid = Txid.from_hex(FIRST_PAYMENT_TXID.upper())
    assert txid[0] == 0x16
    assert str(txid) == FIRST_PAYMENT_TXID
    assert repr(txid) == f"<Txid {FIRST_PAYMENT_TXID}>"


def test_no_text_of_a_txid_is_in_the_order_of_its_bytes():
    txid = Txid.from_hex(FIRST_PAYMENT_TXID)
    assert txid.hex() == FIRST_PAYMENT_TXID
    assert txid.hex(" ").split() == [f"{byte:02x}" for byte in reversed(txid)]
    assert Txid.from_hex(txid.hex()) == txid
    assert bytes(txid).hex() == bytes(reversed(bytes.fromhex(FIRST_PAYMENT_TXID))).hex()


@pytest.mark.parametrize(
    "text", ["", FIRST_PAYMENT_TXID[1:], FIRST_PAYMENT_TXID + "00", " " * 64, "g" * 64]
)
def test_other_text_is_no_txid(text):
    with pytest.raises(InvalidTransaction):
        Txid.from_hex(text)


def test_an_outpoint_is_read_as_it_is_shown():
    text = f"{FIRST_PAYMENT_TXID}:4294967295"
    outpoint = OutPoint.parse(text)
    assert outpoint.vout == 2**32 - 1
    assert str(outpoint) == text
    assert OutPoint.parse(f"{FIRST_PAYMENT_TXID}:0") < outpoint


@pytest.mark.parametrize("vout", ["", "-1", "+1", "01", " 1", "1\n", "4294967296", "1:1", "x"])
def test_other_text_is_no_outpoint(vout):
    with pytest.raises(InvalidTransaction):
        OutPoint.parse(f"{FIRST_PAYMENT_TXID}:{vout}")


def test_a_transaction_shows_its_id_and_counts_and_nothing_else():
    transaction = parse(SEGWIT_PAYMENT)
    assert repr(transaction) == f"<Transaction {SEGWIT_PAYMENT_TXID}: 1 inputs, 1 outputs>"
    assert "0f3444e2" not in repr(transaction.outputs)
    assert "fb60dad8" not in repr(transaction.inputs)


def test_equal_transactions_are_equal_also_after_one_computed_its_id():
    one, other = parse(SEGWIT_PAYMENT), parse(SEGWIT_PAYMENT)
    assert one.txid == other.txid
    assert one == parse(SEGWIT_PAYMENT)
    assert hash(one) == hash(parse(SEGWIT_PAYMENT))


def test_an_output_read_alone_holds_no_more_than_there_is_money():
    raw = (MAX_SATS + 1).to_bytes(8, "little") + b"\x00"
    with pytest.raises(InvalidTransaction):
        TxOut.read(Reader(raw, InvalidTransaction, "output"))


def test_signing_with_witnesses_keeps_the_id_and_a_script_sig_changes_it():
    inputs = (TxIn(OutPoint(Txid(b"\x01" * 32), 0)), TxIn(OutPoint(Txid(b"\x02" * 32), 1)))
    unsigned = Transaction(2, inputs, (TxOut(Sats(1_000), Script(b"\x51")),), 0)
    txid = unsigned.txid
    segwit = unsigned.with_signatures([(b"", (b"\x01",)), (b"", (b"\x02", b"\x03"))])
    legacy = unsigned.with_signatures([(b"\x51", ()), (b"", (b"\x02",))])
    assert segwit.txid == txid == Transaction.parse(segwit.serialize()).txid
    assert legacy.txid == Transaction.parse(legacy.serialize()).txid != txid
    assert legacy.without_signatures() == segwit.without_signatures() == unsigned
    assert legacy.without_signatures().txid == txid
    assert unsigned.without_signatures() is unsigned


def test_one_byte_more_than_4_mb_is_not_well_formed_though_it_was_read() -> None:
    script = bytes(4_000_001 - 64)
    output = TxOut(Sats(1), Script(script))
    spent = TxIn(OutPoint(Txid(bytes(32)), 0))
    made = Transaction(2, (spent,), (output,), 0)
    written = made.serialize()
    assert len(written) == 4_000_001
    assert not made.is_well_formed
    assert not Transaction.parse_without_witness(written).is_well_formed
