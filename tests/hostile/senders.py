"""Senders whose Original PSBT cheats."""

from base64 import b64encode
from dataclasses import replace

from tests.hostile.mallory import PARAMS, Mallory, offering, paying, refused, spoilt
from tests.hostile.payment import Ends
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in
from tests.support.stepping import AMOUNT

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Txid, TxIn
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import encode_original, seal_message_a
from dovetail.protocol.params import FeeContribution
from dovetail.sessions.reasons import Reason

SINGLE_ANYONE = 0x83
NONE = b"\x02"


def pays_nobody(mallory: Mallory) -> Psbt:
    to = mallory.stage.alice.party.wallet.new_address().script_pubkey
    return mallory.offer(mallory.sign(mallory.payment(to=to)))


def spends_a_coin_that_is_not_there(mallory: Mallory) -> Psbt:
    psbt = mallory.payment()
    unsigned = psbt.unsigned_transaction
    nowhere = TxIn(OutPoint(Txid(b"\x66" * 32), 0), sequence=unsigned.inputs[0].sequence)
    changed = replace(unsigned, inputs=(nowhere,))
    return mallory.offer(mallory.sign(psbt.with_transaction(changed, psbt.inputs, psbt.outputs)))


GREEDY = replace(PARAMS, min_fee_rate=FeeRate.from_sat_per_vb(100_000))


def demands_an_absurd_fee(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    return mallory.offer(psbt, GREEDY)


def promises(max_amount: int, index: int) -> Play:
    def scheme(mallory: Mallory) -> Psbt:
        psbt = mallory.sign(mallory.payment())
        contribution = FeeContribution(Sats(max_amount), index)
        return mallory.offer(psbt, replace(PARAMS, fee_contribution=contribution))

    return paying(scheme)


MALFORMED = Reason.ORIGINAL_MALFORMED
UNPAYABLE = Reason.ORIGINAL_NOT_BROADCASTABLE
BROADCASTABLE = "the Original must be broadcastable"


def ignored(rule: str, **named: str) -> Decorator:
    return trick(
        peer=Peer.SENDER,
        we="Ignores it, as anybody who saw the URI can write there, and expires.",
        rule=rule,
        told="Expired: nothing had come to the address.",
        ends=Ends.UNPAID,
        playing=offering,
        **named,
    )


def does(we: str, rule: str, told: str, ends: Ends = Ends.UNPAID, **named: str) -> Decorator:
    return trick(peer=Peer.SENDER, we=we, rule=rule, told=told, ends=ends, playing=None, **named)


_TABLE_1 = (
    refused(
        Reason.ORIGINAL_DOES_NOT_PAY_US,
        "it must pay the receiver",
        name="pays nobody",
        words="Sends an Original without an output to the receiver, to see its coins for nothing.",
    )(pays_nobody),
)


@refused(Reason.ORIGINAL_PAYS_TOO_LITTLE, "it must pay what the URI asks for")
def pays_little(mallory: Mallory) -> Psbt:
    """Pays 1,000 of 50,000 sats and has a payjoin made of it, to be told as paid."""
    return mallory.offer(mallory.sign(mallory.payment(1_000)))


@refused(
    Reason.ORIGINAL_DOES_NOT_PAY_US, "it must pay the address of this URI", name="pays another URI"
)
def pays_another_link(mallory: Mallory) -> Psbt:
    """Pays the address of one invoice by the mailbox of another, to settle both at once."""
    # One payment is to count for two invoices.
    other = mallory.stage.bob.receive()
    return mallory.offer(mallory.sign(mallory.payment(to=other.uri.address.script_pubkey)))


@refused(
    Reason.ORIGINAL_SPENDS_OUR_COINS,
    "no input may be the receiver's",
    name="spends the receiver's coin",
)
def spends_the_receivers_coin(mallory: Mallory) -> Psbt:
    """Sends a payment that spends a coin of the receiver's, to have it signed away."""
    # As if a signed payment of Bob's own had come into her hands.
    wallet = mallory.stage.bob.party.wallet
    psbt = wallet.pay(mallory.payee, AMOUNT, fee_rate=FeeRate.BROADCAST_MIN)
    return mallory.offer(psbt)


@refused(MALFORMED, "it must be final")
def is_not_signed(mallory: Mallory) -> Psbt:
    """Sends an Original without signatures, which costs nothing to make."""
    return mallory.offer(mallory.payment())


@refused(MALFORMED, "signatures cover everything (M4)")
def signs_for_nothing(mallory: Mallory) -> Psbt:
    """Signs with NONE, so that whoever holds the fallback can rewrite it."""
    psbt = mallory.sign(mallory.payment())
    signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
    loose = psbt.inputs[0].with_final(b"", (signature[:-1] + NONE, key))
    psbt = psbt.with_input(0, loose)
    return mallory.offer(psbt)


@refused(MALFORMED, "signatures cover everything (M4)")
def asks_for_loose_signatures(mallory: Mallory) -> Psbt:
    """Sets the sighash type of its input to SINGLE with ANYONECANPAY."""
    psbt = mallory.sign(mallory.payment())
    psbt = psbt.with_input(0, psbt.inputs[0].with_sighash_type(SINGLE_ANYONE))
    return mallory.offer(psbt)


@refused(MALFORMED, "all inputs share one sequence")
def mixes_sequences(mallory: Mallory) -> Psbt:
    """Gives its inputs different sequences, so that no proposal can be right."""
    return mallory.offer(mallory.sign(mallory.payment(coins=2, sequences=(0xFFFFFFFD, 0xFFFFFFFE))))


@refused(MALFORMED, BROADCASTABLE)
def pays_no_fee(mallory: Mallory) -> Psbt:
    """Pays no fee at all."""
    return mallory.offer(mallory.sign(mallory.payment(fee=0)))


@refused(UNPAYABLE, BROADCASTABLE)
def pays_too_low_a_fee(mallory: Mallory) -> Psbt:
    """Pays a fee that no node relays."""
    return mallory.offer(mallory.sign(mallory.payment(fee=20)))


@refused(Reason.ORIGINAL_INPUTS_SPENT, BROADCASTABLE)
def spends_a_spent_coin(mallory: Mallory) -> Psbt:
    """Offers a coin that it has spent before."""
    psbt = mallory.sign(mallory.payment())
    elsewhere = mallory.stage.alice.party.wallet.new_address().script_pubkey
    mallory.stage.world.node.send(mallory.sign(mallory.payment(to=elsewhere)).extract())
    mallory.stage.world.node.mine()
    return mallory.offer(psbt)


_TABLE_2 = (
    refused(
        UNPAYABLE,
        BROADCASTABLE,
        name="spends a coin that is not there",
        words="Offers a coin that does not exist.",
    )(spends_a_coin_that_is_not_there),
)


@refused(UNPAYABLE, BROADCASTABLE)
def signs_wrongly(mallory: Mallory) -> Psbt:
    """Signs with a signature that is wrong in one bit."""
    psbt = mallory.sign(mallory.payment())
    return mallory.offer(psbt.with_input(0, spoilt(psbt.inputs[0])))


@refused(UNPAYABLE, BROADCASTABLE)
def locks_the_time(mallory: Mallory) -> Psbt:
    """Sends a payment that is locked for a thousand blocks."""
    psbt = mallory.payment()
    later = replace(psbt.unsigned_transaction, lock_time=mallory.stage.world.node.height + 1000)
    return mallory.offer(mallory.sign(psbt.with_transaction(later, psbt.inputs, psbt.outputs)))


@refused(MALFORMED, "it must be a PSBT; counts are held to the bytes there are")
def claims_four_billion_outputs(mallory: Mallory) -> None:
    """Announces 2³² outputs, to fill the memory."""
    head = b"\x02\x00\x00\x00\x01" + bytes(36) + b"\x00" + b"\xff" * 4 + b"\xfe\xff\xff\xff\xff"
    raw = b"psbt\xff\x01\x00\xfd\x00\x02" + head.ljust(512, b"\x00")
    mallory.post(mallory.seal(b64encode(raw) + b"\nv=2"))


@refused(MALFORMED, "it must be a PSBT; amounts end at 21 million bitcoins")
def pays_more_than_there_is(mallory: Mallory) -> None:
    """Pays 2⁶³ sats, for a sum to overflow."""
    psbt = mallory.sign(mallory.payment())
    value = int(AMOUNT).to_bytes(8, "little")
    raw = psbt.serialize().replace(value, (2**63).to_bytes(8, "little"), 1)
    mallory.post(mallory.seal(b64encode(raw) + b"\nv=2"))


@refused(MALFORMED, "it must be a PSBT")
def babbles(mallory: Mallory) -> None:
    """Seals noise, with cursor movements."""
    mallory.post(mallory.seal(b"cHNidP8\nminfeerate=\x1b[2J"))


@refused(
    Reason.ORIGINAL_VERSION_UNSUPPORTED, "`v` must be a version we speak", name="speaks version 3"
)
def speaks_version_3(mallory: Mallory) -> None:
    """Asks for a version of payjoin that there is not."""
    psbt = mallory.sign(mallory.payment())
    mallory.post(mallory.seal(f"{psbt.to_base64()}\nv=3".encode()))


@ignored("BIP 77, Message A: HPKE to the receiver key")
def seals_under_another_key(mallory: Mallory) -> None:
    """Writes a message into the mailbox that the receiver cannot open."""
    psbt = mallory.sign(mallory.payment())
    other = SecretKey(b"\x0f" * 32).public_key
    mallory.post(seal_message_a(encode_original(psbt, PARAMS), receiver_key=other, reply_key=other))


@ignored("BIP 77, Backwards compatibility: only where the URI says `pjos=0`")
def writes_in_plaintext(mallory: Mallory) -> None:
    """Writes an Original in plaintext, for the directory to read and to change."""
    psbt = mallory.sign(mallory.payment())
    mallory.post(f"{psbt.to_base64()}\nv=1".encode())


@ignored("BIP 77: a message has 7168 bytes")
def cuts_it_short(mallory: Mallory) -> None:
    """Writes a message of 7167 bytes."""
    psbt = mallory.sign(mallory.payment())
    mallory.post(mallory.seal(encode_original(psbt, PARAMS))[:-1])


_TABLE_3 = (
    does(
        "Refuses above its own fee cap; the ordinary payment is made.",
        "BIP 78, Receiver: `maxFeeRate` of its own",
        Reason.FEE_CAP.words,
        Ends.ORDINARY,
        name="demands an absurd fee",
        words="Sets `minfeerate` to 100,000 sat/vB, to have the receiver's coin burnt.",
    )(offering(demands_an_absurd_fee)),
    does(
        "Ignores the offer, and pays itself what the sender demands.",
        "BIP 78, Optional parameters: not the receiver's own output",
        "Paid by payjoin.",
        Ends.PAYJOIN,
        name="offers the receiver's output for the fee",
        words="Points `additionalfeeoutputindex` at the receiver's output.",
    )(promises(300, 0)),
    does(
        "Ignores the offer, and pays itself what the sender demands.",
        "BIP 78, Optional parameters: out of range",
        "Paid by payjoin.",
        Ends.PAYJOIN,
        name="offers an output that is not there",
        words="Points `additionalfeeoutputindex` beyond the outputs.",
    )(promises(300, 9_999_999)),
    does(
        "Ignores the offer, and pays itself what the sender demands.",
        "BIP 78, Optional parameters: not above the output",
        "Paid by payjoin.",
        Ends.PAYJOIN,
        name="offers more than there is",
        words="Offers a contribution above the value of its output.",
    )(promises(2_000_000_000_000_000, 1)),
)


TRICKS = tricks_in(globals())
