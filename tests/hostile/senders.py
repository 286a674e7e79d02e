"""Senders whose Original PSBT cheats."""

from base64 import b64encode
from dataclasses import replace

from tests.hostile.mallory import PARAMS, Mallory, changed, offering, paying, spoilt
from tests.hostile.record import Play, Tricks
from tests.support.keys import SEQUENCE
from tests.support.stepping import AMOUNT

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Txid, TxIn
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol import FeeContribution, encode_original, seal_message_a

SINGLE_ANYONE = 0x83
NONE = b"\x02"
GREEDY = replace(PARAMS, min_fee_rate=FeeRate.from_sat_per_vb(100_000))


def offers(amount: int = AMOUNT, **terms: int) -> Play:
    """A signed payment on these terms."""
    return offering(lambda mallory: mallory.offer(mallory.paid(amount, **terms)))


def promises(max_amount: int, index: int) -> Play:
    contribution = FeeContribution(Sats(max_amount), index)
    params = replace(PARAMS, fee_contribution=contribution)
    return paying(lambda mallory: mallory.offer(mallory.paid(), params))


TRICKS = Tricks()
TRICKS.update(
    pays_little=offers(1_000),
    is_not_signed=offering(lambda mallory: mallory.offer(mallory.payment())),
    pays_no_fee=offers(fee=0),
    pays_too_low_a_fee=offers(fee=20),
    babbles=offering(lambda mallory: mallory.write(b"cHNidP8\nminfeerate=\x1b[2J")),
    speaks_version_3=offering(
        lambda mallory: mallory.write(f"{mallory.paid().to_base64()}\nv=3".encode())
    ),
    writes_in_plaintext=offering(
        lambda mallory: mallory.post(f"{mallory.paid().to_base64()}\nv=1".encode())
    ),
    cuts_it_short=offering(
        lambda mallory: mallory.post(mallory.seal(encode_original(mallory.paid(), PARAMS))[:-1])
    ),
    demands_an_absurd_fee=offering(lambda mallory: mallory.offer(mallory.paid(), GREEDY)),
    offers_the_receivers_output_for_the_fee=promises(300, 0),
    offers_an_output_that_is_not_there=promises(300, 9_999_999),
    offers_more_than_there_is=promises(2_000_000_000_000_000, 1),
)


@TRICKS.by(offering)
def pays_nobody(mallory: Mallory) -> Psbt:
    return mallory.offer(mallory.paid(to=mallory.own_script()))


@TRICKS.by(offering)
def pays_another_uri(mallory: Mallory) -> Psbt:
    # One payment is to count for two invoices.
    other = mallory.stage.bob.receive()
    return mallory.offer(mallory.paid(to=other.uri.address.script_pubkey))


@TRICKS.by(offering)
def spends_the_receivers_coin(mallory: Mallory) -> Psbt:
    # As if a signed payment of Bob's own had come into her hands.
    wallet = mallory.stage.bob.party.wallet
    return mallory.offer(wallet.pay(mallory.payee, AMOUNT, fee_rate=FeeRate.BROADCAST_MIN))


@TRICKS.by(offering)
def signs_for_nothing(mallory: Mallory) -> Psbt:
    psbt = mallory.paid()
    signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
    loose = psbt.inputs[0].with_final(b"", (signature[:-1] + NONE, key))
    return mallory.offer(psbt.with_input(0, loose))


@TRICKS.by(offering)
def asks_for_loose_signatures(mallory: Mallory) -> Psbt:
    psbt = mallory.paid()
    return mallory.offer(psbt.with_input(0, psbt.inputs[0].with_sighash_type(SINGLE_ANYONE)))


@TRICKS.by(offering)
def spends_a_spent_coin(mallory: Mallory) -> Psbt:
    psbt = mallory.paid()
    mallory.stage.mined(mallory.paid(to=mallory.own_script()).extract())
    return mallory.offer(psbt)


@TRICKS.by(offering)
def spends_a_coin_that_is_not_there(mallory: Mallory) -> Psbt:
    nowhere = TxIn(OutPoint(Txid(b"\x66" * 32), 0), sequence=SEQUENCE)
    return mallory.offer(mallory.sign(changed(mallory.payment(), inputs=(nowhere,))))


@TRICKS.by(offering)
def signs_wrongly(mallory: Mallory) -> Psbt:
    psbt = mallory.paid()
    return mallory.offer(psbt.with_input(0, spoilt(psbt.inputs[0])))


@TRICKS.by(offering)
def locks_the_time(mallory: Mallory) -> Psbt:
    later = mallory.stage.world.node.height + 1000
    return mallory.offer(mallory.sign(changed(mallory.payment(), lock_time=later)))


@TRICKS.by(offering)
def mixes_sequences(mallory: Mallory) -> Psbt:
    psbt = mallory.payment(coins=2)
    first, second = psbt.unsigned_transaction.inputs
    inputs = first, replace(second, sequence=SEQUENCE + 1)
    return mallory.offer(mallory.sign(changed(psbt, inputs=inputs)))


@TRICKS.by(offering)
def claims_four_billion_outputs(mallory: Mallory) -> None:
    head = b"\x02\x00\x00\x00\x01" + bytes(36) + b"\x00" + b"\xff" * 4 + b"\xfe\xff\xff\xff\xff"
    raw = b"psbt\xff\x01\x00\xfd\x00\x02" + head.ljust(512, b"\x00")
    mallory.write(b64encode(raw) + b"\nv=2")


@TRICKS.by(offering)
def pays_more_than_there_is(mallory: Mallory) -> None:
    value = int(AMOUNT).to_bytes(8, "little")
    raw = mallory.paid().serialize().replace(value, (2**63).to_bytes(8, "little"), 1)
    mallory.write(b64encode(raw) + b"\nv=2")


@TRICKS.by(offering)
def seals_under_another_key(mallory: Mallory) -> None:
    other = SecretKey(b"\x0f" * 32).public_key
    body = encode_original(mallory.paid(), PARAMS)
    mallory.post(seal_message_a(body, receiver_key=other, reply_key=other))
