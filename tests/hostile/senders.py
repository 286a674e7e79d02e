"""Senders whose Original PSBT cheats, and those who cheat with an honest one."""

from base64 import b64encode
from dataclasses import replace

from tests.hostile.mallory import PARAMS, Mallory, Scheme, offering, paying, received, refused
from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Peer, Play, Trick
from tests.support.stepping import AMOUNT

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Txid, TxIn
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import encode_original, seal_message_a
from dovetail.protocol.params import FeeContribution
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason

SINGLE_ANYONE = 0x83
NONE = b"\x02"


# what is no payment


def pays_nobody(mallory: Mallory) -> Psbt:
    to = mallory.stage.alice.party.wallet.new_address().script_pubkey
    psbt = mallory.sign(mallory.payment(to=to))
    mallory.offer(psbt)
    return psbt


def pays_little(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment(1_000))
    mallory.offer(psbt)
    return psbt


def pays_another_link(mallory: Mallory) -> Psbt:
    """One payment is to count for two invoices."""
    other = mallory.stage.bob.receive()
    psbt = mallory.sign(mallory.payment(to=other.uri.address.script_pubkey))
    mallory.offer(psbt)
    return psbt


def spends_the_receivers_coin(mallory: Mallory) -> Psbt:
    """As if a signed payment of Bob's own had come into her hands."""
    wallet = mallory.stage.bob.party.wallet
    psbt = wallet.pay(mallory.payee, AMOUNT, fee_rate=FeeRate.BROADCAST_MIN)
    mallory.offer(psbt)
    return psbt


def is_not_signed(mallory: Mallory) -> Psbt:
    psbt = mallory.payment()
    mallory.offer(psbt)
    return psbt


def signs_for_nothing(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
    loose = psbt.inputs[0].with_final(b"", (signature[:-1] + NONE, key))
    psbt = psbt.with_input(0, loose)
    mallory.offer(psbt)
    return psbt


def asks_for_loose_signatures(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    psbt = psbt.with_input(0, psbt.inputs[0].with_sighash_type(SINGLE_ANYONE))
    mallory.offer(psbt)
    return psbt


def mixes_sequences(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment(coins=2, sequences=(0xFFFFFFFD, 0xFFFFFFFE)))
    mallory.offer(psbt)
    return psbt


def pays_no_fee(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment(fee=0))
    mallory.offer(psbt)
    return psbt


def pays_too_low_a_fee(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment(fee=20))
    mallory.offer(psbt)
    return psbt


def spends_a_spent_coin(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    elsewhere = mallory.stage.alice.party.wallet.new_address().script_pubkey
    mallory.stage.world.node.send(mallory.sign(mallory.payment(to=elsewhere)).extract())
    mallory.stage.world.node.mine()
    mallory.offer(psbt)
    return psbt


def spends_a_coin_that_is_not_there(mallory: Mallory) -> Psbt:
    psbt = mallory.payment()
    unsigned = psbt.unsigned_transaction
    nowhere = TxIn(OutPoint(Txid(b"\x66" * 32), 0), sequence=unsigned.inputs[0].sequence)
    changed = replace(unsigned, inputs=(nowhere,))
    psbt = mallory.sign(psbt.with_transaction(changed, psbt.inputs, psbt.outputs))
    mallory.offer(psbt)
    return psbt


def signs_wrongly(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
    spoilt = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    psbt = psbt.with_input(0, psbt.inputs[0].with_final(b"", (spoilt, key)))
    mallory.offer(psbt)
    return psbt


def locks_the_time(mallory: Mallory) -> Psbt:
    psbt = mallory.payment()
    later = replace(psbt.unsigned_transaction, lock_time=mallory.stage.world.node.height + 1000)
    psbt = mallory.sign(psbt.with_transaction(later, psbt.inputs, psbt.outputs))
    mallory.offer(psbt)
    return psbt


# what is no Original


def speaks_version_3(mallory: Mallory) -> None:
    psbt = mallory.sign(mallory.payment())
    mallory.post(mallory.seal(f"{psbt.to_base64()}\nv=3".encode()))


def babbles(mallory: Mallory) -> None:
    mallory.post(mallory.seal(b"cHNidP8\nminfeerate=\x1b[2J"))


def claims_four_billion_outputs(mallory: Mallory) -> None:
    head = b"\x02\x00\x00\x00\x01" + bytes(36) + b"\x00" + b"\xff" * 4 + b"\xfe\xff\xff\xff\xff"
    raw = b"psbt\xff\x01\x00\xfd\x00\x02" + head.ljust(512, b"\x00")
    mallory.post(mallory.seal(b64encode(raw) + b"\nv=2"))


def pays_more_than_there_is(mallory: Mallory) -> None:
    psbt = mallory.sign(mallory.payment())
    value = int(AMOUNT).to_bytes(8, "little")
    raw = psbt.serialize().replace(value, (2**63).to_bytes(8, "little"), 1)
    mallory.post(mallory.seal(b64encode(raw) + b"\nv=2"))


def under_another_key(mallory: Mallory) -> None:
    psbt = mallory.sign(mallory.payment())
    other = SecretKey(b"\x0f" * 32).public_key
    mallory.post(seal_message_a(encode_original(psbt, PARAMS), receiver_key=other, reply_key=other))


def in_plaintext(mallory: Mallory) -> None:
    psbt = mallory.sign(mallory.payment())
    mallory.post(f"{psbt.to_base64()}\nv=1".encode())


def cut_short(mallory: Mallory) -> None:
    psbt = mallory.sign(mallory.payment())
    mallory.post(mallory.seal(encode_original(psbt, PARAMS))[:-1])


# what is asked for

GREEDY = replace(PARAMS, min_fee_rate=FeeRate.from_sat_per_vb(100_000))


def demands_an_absurd_fee(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    mallory.offer(psbt, GREEDY)
    return psbt


def promises(max_amount: int, index: int) -> Play:
    def scheme(mallory: Mallory) -> Psbt:
        psbt = mallory.sign(mallory.payment())
        contribution = FeeContribution(Sats(max_amount), index)
        mallory.offer(psbt, replace(PARAMS, fee_contribution=contribution))
        return psbt

    return paying(scheme)


# the same coins twice


async def the_same_coins_at_once(stage: Stage) -> Played:
    first, second = stage.bob.receive(), stage.bob.receive()
    one, other = Mallory(stage, first), Mallory(stage, second)
    psbt = one.sign(one.payment())
    one.offer(psbt)
    await first.to(receiver.Monitor)
    other.offer(other.sign(other.payment()))
    probed = received(second, psbt)
    return replace(probed, sessions=(first, second), address=first.uri.address)


async def the_same_coins_later(stage: Stage) -> Played:
    first, second = stage.bob.receive(), stage.bob.receive()
    one, other = Mallory(stage, first), Mallory(stage, second)
    one.offer(one.sign(one.payment()))
    outputs = await first.to(receiver.OutputsUnknown)
    pending = outputs.cancel().save(first.log)
    first.state = pending.release().save(first.log)
    assert first.state.closed
    other.offer(other.sign(other.payment()))
    return received(second, None)


async def the_same_original_again(stage: Stage) -> Played:
    """Into the same mailbox: an honest directory keeps the first, this one takes the second."""
    receiving = stage.bob.receive()
    mallory = Mallory(stage, receiving)
    psbt = mallory.sign(mallory.payment())
    mallory.offer(psbt)
    await receiving.to(receiver.WantsInputs)
    mallory.offer(mallory.sign(mallory.payment(1_000)))
    return received(receiving, psbt)


# and then


def honest(mallory: Mallory) -> Psbt:
    psbt = mallory.sign(mallory.payment())
    mallory.offer(psbt)
    return psbt


async def prefers_the_original(stage: Stage) -> Played:
    receiving = stage.bob.receive()
    psbt = honest(Mallory(stage, receiving))
    await receiving.to(receiver.Monitor)
    stage.world.node.send(psbt.extract())
    stage.world.node.mine()
    return received(receiving, psbt)


async def pays_nobody_after_all(stage: Stage) -> Played:
    """The refused Original is broadcast by its sender."""
    receiving = stage.bob.receive()
    psbt = pays_nobody(Mallory(stage, receiving))
    await stage.until(receiving, receiver.HasReplyableError)
    await stage.until(receiving, receiver.Initialized)
    stage.world.node.send(psbt.extract())
    stage.world.node.mine()
    return received(receiving, psbt)


async def pays_herself(stage: Stage) -> Played:
    receiving = stage.bob.receive()
    mallory = Mallory(stage, receiving)
    psbt = honest(mallory)
    await receiving.to(receiver.Monitor)
    own = stage.alice.party.wallet.new_address().script_pubkey
    stage.world.node.send(mallory.sign(mallory.payment(to=own)).extract())
    stage.world.node.mine()
    return received(receiving, psbt)


async def is_never_seen_again(stage: Stage) -> Played:
    receiving = stage.bob.receive()
    psbt = honest(Mallory(stage, receiving))
    await receiving.to(receiver.Monitor)
    stage.world.clock.pass_by(3600 + 600)
    return received(receiving, psbt)


def names_the_receiver_as_herself(mallory: Mallory) -> Psbt:
    """The answer would go into the receiver's own mailbox."""
    psbt = mallory.sign(mallory.payment())
    body = encode_original(psbt, PARAMS)
    mallory.post(mallory.seal(body, reply_key=mallory.endpoint.receiver_key))
    return psbt


MALFORMED = Reason.ORIGINAL_MALFORMED
UNPAYABLE = Reason.ORIGINAL_NOT_BROADCASTABLE
BROADCASTABLE = "the Original must be broadcastable"


def ignored(name: str, trick: str, rule: str, scheme: Scheme) -> Trick:
    return Trick(
        peer=Peer.SENDER,
        name=name,
        trick=trick,
        we="Ignores it, as anybody who saw the URI can write there, and expires.",
        rule=rule,
        told="Expired: nothing had come to the address.",
        ends=Ends.UNPAID,
        play=offering(scheme),
    )


def does(
    name: str, trick: str, we: str, rule: str, told: str, play: Play, ends: Ends = Ends.UNPAID
) -> Trick:
    return Trick(
        peer=Peer.SENDER,
        name=name,
        trick=trick,
        we=we,
        rule=rule,
        told=told,
        ends=ends,
        play=play,
    )


TRICKS: tuple[Trick, ...] = (
    refused(
        "pays nobody",
        "Sends an Original without an output to the receiver, to see its coins for nothing.",
        Reason.ORIGINAL_DOES_NOT_PAY_US,
        "it must pay the receiver",
        pays_nobody,
    ),
    refused(
        "pays little",
        "Pays 1,000 of 50,000 sats and has a payjoin made of it, to be told as paid.",
        Reason.ORIGINAL_PAYS_TOO_LITTLE,
        "it must pay what the URI asks for",
        pays_little,
    ),
    refused(
        "pays another URI",
        "Pays the address of one invoice by the mailbox of another, to settle both at once.",
        Reason.ORIGINAL_DOES_NOT_PAY_US,
        "it must pay the address of this URI",
        pays_another_link,
    ),
    refused(
        "spends the receiver's coin",
        "Sends a payment that spends a coin of the receiver's, to have it signed away.",
        Reason.ORIGINAL_SPENDS_OUR_COINS,
        "no input may be the receiver's",
        spends_the_receivers_coin,
    ),
    refused(
        "is not signed",
        "Sends an Original without signatures, which costs nothing to make.",
        MALFORMED,
        "it must be final",
        is_not_signed,
    ),
    refused(
        "signs for nothing",
        "Signs with NONE, so that whoever holds the fallback can rewrite it.",
        MALFORMED,
        "signatures cover everything (M4)",
        signs_for_nothing,
    ),
    refused(
        "asks for loose signatures",
        "Sets the sighash type of its input to SINGLE with ANYONECANPAY.",
        MALFORMED,
        "signatures cover everything (M4)",
        asks_for_loose_signatures,
    ),
    refused(
        "mixes sequences",
        "Gives its inputs different sequences, so that no proposal can be right.",
        MALFORMED,
        "all inputs share one sequence",
        mixes_sequences,
    ),
    refused("pays no fee", "Pays no fee at all.", MALFORMED, BROADCASTABLE, pays_no_fee),
    refused(
        "pays too low a fee",
        "Pays a fee that no node relays.",
        UNPAYABLE,
        BROADCASTABLE,
        pays_too_low_a_fee,
    ),
    refused(
        "spends a spent coin",
        "Offers a coin that it has spent before.",
        Reason.ORIGINAL_INPUTS_SPENT,
        BROADCASTABLE,
        spends_a_spent_coin,
    ),
    refused(
        "spends a coin that is not there",
        "Offers a coin that does not exist.",
        UNPAYABLE,
        BROADCASTABLE,
        spends_a_coin_that_is_not_there,
    ),
    refused(
        "signs wrongly",
        "Signs with a signature that is wrong in one bit.",
        UNPAYABLE,
        BROADCASTABLE,
        signs_wrongly,
    ),
    refused(
        "locks the time",
        "Sends a payment that is locked for a thousand blocks.",
        UNPAYABLE,
        BROADCASTABLE,
        locks_the_time,
    ),
    refused(
        "claims four billion outputs",
        "Announces 2³² outputs, to fill the memory.",
        MALFORMED,
        "it must be a PSBT; counts are held to the bytes there are",
        claims_four_billion_outputs,
    ),
    refused(
        "pays more than there is",
        "Pays 2⁶³ sats, for a sum to overflow.",
        MALFORMED,
        "it must be a PSBT; amounts end at 21 million bitcoins",
        pays_more_than_there_is,
    ),
    refused(
        "babbles", "Seals noise, with cursor movements.", MALFORMED, "it must be a PSBT", babbles
    ),
    refused(
        "speaks version 3",
        "Asks for a version of payjoin that there is not.",
        Reason.ORIGINAL_VERSION_UNSUPPORTED,
        "`v` must be a version we speak",
        speaks_version_3,
    ),
    ignored(
        "seals under another key",
        "Writes a message into the mailbox that the receiver cannot open.",
        "BIP 77, Message A: HPKE to the receiver key",
        under_another_key,
    ),
    ignored(
        "writes in plaintext",
        "Writes an Original in plaintext, for the directory to read and to change.",
        "BIP 77, Backwards compatibility: only where the URI says `pjos=0`",
        in_plaintext,
    ),
    ignored(
        "cuts it short",
        "Writes a message of 7167 bytes.",
        "BIP 77: a message has 7168 bytes",
        cut_short,
    ),
    does(
        "demands an absurd fee",
        "Sets `minfeerate` to 100,000 sat/vB, to have the receiver's coin burnt.",
        "Refuses above its own fee cap; the ordinary payment is made.",
        "BIP 78, Receiver: `maxFeeRate` of its own",
        Reason.FEE_CAP.words,
        offering(demands_an_absurd_fee),
        Ends.ORDINARY,
    ),
    does(
        "offers the receiver's output for the fee",
        "Points `additionalfeeoutputindex` at the receiver's output.",
        "Ignores the offer, and pays itself what the sender demands.",
        "BIP 78, Optional parameters: not the receiver's own output",
        "Paid by payjoin.",
        promises(300, 0),
        Ends.PAYJOIN,
    ),
    does(
        "offers an output that is not there",
        "Points `additionalfeeoutputindex` beyond the outputs.",
        "Ignores the offer, and pays itself what the sender demands.",
        "BIP 78, Optional parameters: out of range",
        "Paid by payjoin.",
        promises(300, 9_999_999),
        Ends.PAYJOIN,
    ),
    does(
        "offers more than there is",
        "Offers a contribution above the value of its output.",
        "Ignores the offer, and pays itself what the sender demands.",
        "BIP 78, Optional parameters: not above the output",
        "Paid by payjoin.",
        promises(2_000_000_000_000_000, 1),
        Ends.PAYJOIN,
    ),
    does(
        "probes with the same coins at once",
        "Offers the same coins to two URIs, to see two of the receiver's coins for one payment.",
        "Refuses the second; the first is paid.",
        "P2: an input seen in any session is refused in every other",
        Reason.ORIGINAL_INPUTS_SEEN_BEFORE.words,
        the_same_coins_at_once,
        Ends.ORDINARY,
    ),
    does(
        "probes with the same coins later",
        "Offers coins again that a closed session had seen.",
        "Refuses them, and makes no proposal.",
        "P2: closed sessions included",
        Reason.ORIGINAL_INPUTS_SEEN_BEFORE.words,
        the_same_coins_later,
    ),
    does(
        "sends a second Original",
        "Writes another, smaller Original into the mailbox after the first was taken.",
        "Never reads again; what was taken is paid.",
        "M2: a session reads its Original once",
        "The sender has the payjoin; waiting for it to confirm.",
        the_same_original_again,
        Ends.ORDINARY,
    ),
    does(
        "prefers the Original",
        "Takes the Proposal, learns the receiver's coin, and makes the ordinary payment.",
        "Sees which was paid; the coin it has shown is offered again before others.",
        "P3: an exposed coin goes first",
        Reason.SENDER_CHOSE_FALLBACK.words,
        prefers_the_original,
        Ends.ORDINARY,
    ),
    does(
        "pays nobody after all",
        "Broadcasts the Original that was refused for paying nobody, to be taken for its payment.",
        "Says that it was not paid; no invoice counts as settled.",
        "M4: only a transaction that pays this URI settles it",
        Reason.ORIGINAL_DOES_NOT_PAY_US.words,
        pays_nobody_after_all,
    ),
    does(
        "pays herself",
        "Spends the payment's coins elsewhere once the Proposal is there.",
        "Says that it was not paid; no invoice counts as settled.",
        "M4: somebody else spent a contested outpoint",
        "The sender's coins were spent by a transaction from outside this session.",
        pays_herself,
    ),
    does(
        "is never seen again",
        "Takes the Proposal and is silent.",
        "Makes the ordinary payment once expiration and grace have passed.",
        "M3; BIP 77, expiration",
        Reason.FALLBACK_DUE.words,
        is_never_seen_again,
        Ends.ORDINARY,
    ),
    does(
        "names the receiver as herself",
        "Gives the receiver's own key as her reply key.",
        "Answers there, where nobody reads; then makes the ordinary payment.",
        "M3; P1: the answer is a fresh ciphertext in any case",
        "The sender has the payjoin; waiting for it to confirm.",
        offering(names_the_receiver_as_herself),
        Ends.ORDINARY,
    ),
)
