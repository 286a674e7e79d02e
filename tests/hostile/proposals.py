"""Receivers whose Proposal cheats: in its transaction, or in what the PSBT says about it."""

from dataclasses import replace

from tests.hostile.forge import Forge, breaks
from tests.hostile.record import tricks_in
from tests.properties.histories.lies import moved, without

from dovetail.bitcoin import Sats, Script, Transaction, TxIn, TxOut
from dovetail.bitcoin.psbt import (
    GlobalField,
    InputField,
    OutputField,
    PsbtGlobal,
    PsbtInput,
    PsbtOutput,
)
from dovetail.crypto.secp256k1 import SecretKey

KEY = SecretKey(b"\x0d" * 32).public_key.compressed
PATH = b"\xaa\xbb\xcc\xdd" + bytes(4)
SEQUENCE = 0xFFFFFFFD
MANY = 12
ALL_MONEY = Sats(21_000_000 * 100_000_000)
SINGLE_ANYONE = 0x83


def with_inputs(forge: Forge, *inputs: TxIn) -> bytes:
    return forge.signed(replace(forge.tx, inputs=inputs))


def with_outputs(forge: Forge, *outputs: TxOut) -> bytes:
    return forge.signed(replace(forge.tx, outputs=outputs))


def with_sequence(forge: Forge, sequence: int, *places: int) -> bytes:
    inputs = [
        replace(txin, sequence=sequence) if place in places else txin
        for place, txin in enumerate(forge.tx.inputs)
    ]
    return with_inputs(forge, *inputs)


def _redirected(tx: Transaction, old: Script, new: Script) -> list[TxOut]:
    return [TxOut(o.value, new) if o.script_pubkey == old else o for o in tx.outputs]


def _senders(forge: Forge) -> list[int]:
    senders = forge.original.unsigned_transaction.contested()
    return [i for i, each in enumerate(forge.tx.contested()) if each in senders]


@breaks("contribution-above-maximum")
def takes_from_the_change(forge: Forge) -> bytes:
    """Takes 5,000 sats from the sender's change and pays itself as much more."""
    return forge.signed(moved(moved(forge.tx, forge.change, -5_000), forge.payee, 5_000))


@breaks("contribution-above-maximum")
def burns_the_change(forge: Forge) -> bytes:
    """Overpays the fee by 5,000 sats out of the sender's change."""
    return forge.signed(moved(forge.tx, forge.change, -5_000))


@breaks("contribution-not-fee")
def pockets_the_contribution(forge: Forge) -> bytes:
    """Takes the fee that the sender offered and keeps a part of it."""
    return forge.signed(moved(forge.tx, forge.payee, 50))


@breaks("fee-decreased")
def takes_the_fee(forge: Forge) -> bytes:
    """Pays itself out of the miner's fee, so that the payment may never confirm."""
    return forge.signed(moved(forge.tx, forge.payee, 2_000))


@breaks("contribution-not-inputs")
def brings_no_input(forge: Forge) -> bytes:
    """Takes the sender's contribution for added inputs and adds none."""
    ours = forge.original.unsigned_transaction
    return forge.signed(moved(ours, forge.change, -100))


@breaks("minimum-fee-rate")
def brings_many_inputs(forge: Forge) -> bytes:
    """Sweeps a dozen of its coins along for nothing, below the sender's `minfeerate`."""
    # A dozen coins more, and not a satoshi for the miner.
    forge.stage.world.fund(forge.stage.bob.party, *[10_000] * MANY)
    more = [
        TxIn(coin.outpoint, sequence=SEQUENCE)
        for coin in forge.stage.bob.party.wallet.coins()
        if coin.utxo.value == 10_000
    ]
    heavier = replace(forge.tx, inputs=(*forge.tx.inputs, *more))
    return forge.signed(moved(heavier, forge.payee, 10_000 * MANY))


@breaks("sender-outputs")
def forgets_the_change(forge: Forge) -> bytes:
    """Leaves out the sender's change."""
    return forge.signed(without(forge.tx, forge.change))


@breaks("sender-outputs")
def keeps_the_change(forge: Forge) -> bytes:
    """Sends the sender's change to itself."""
    script = forge.stage.bob.party.wallet.new_address().script_pubkey
    return with_outputs(forge, *_redirected(forge.tx, forge.change, script))


@breaks("output-substitution", pjos=False)
def pays_elsewhere(forge: Forge) -> bytes:
    """Sends the payment to another address, though the URI says `pjos=0`."""
    script = forge.stage.bob.party.wallet.new_address().script_pubkey
    return with_outputs(forge, *_redirected(forge.tx, forge.payee, script))


@breaks("output-substitution", pjos=False)
def pays_less(forge: Forge) -> bytes:
    """Moves a part of the payment to another output, though the URI says `pjos=0`."""
    # Takes its own coin back, and some of the payment with it: the payee gets less than agreed.
    aside = forge.stage.bob.party.wallet.new_address().script_pubkey
    paid = next(o.value for o in forge.tx.outputs if o.script_pubkey == forge.payee)
    lower = moved(forge.tx, forge.payee, 40_000 - int(paid))
    return forge.signed(replace(lower, outputs=(*lower.outputs, TxOut(Sats(paid - 41_000), aside))))


@breaks("sender-outputs", pjos=False)
def turns_the_outputs_round(forge: Forge) -> bytes:
    """Changes the order of the outputs, so that an index means another one."""
    return with_outputs(forge, *forge.tx.outputs[::-1])


@breaks("receiver-input-not-final")
def spends_another_coin_of_the_sender(forge: Forge) -> bytes:
    """Adds a second coin of the sender's, for the wallet to sign without a second look."""
    spent = forge.tx.contested()
    coins = forge.stage.alice.party.wallet.coins()
    other = next(coin for coin in coins if coin.outpoint not in spent)
    more = replace(forge.tx, inputs=(*forge.tx.inputs, TxIn(other.outpoint, sequence=SEQUENCE)))
    return forge.signed(moved(more, forge.payee, int(other.utxo.value)))


@breaks("sender-inputs", inputs=2)
def leaves_out_an_input(forge: Forge) -> bytes:
    """Drops one of the sender's inputs, so that payjoin and fallback could both confirm."""
    last = _senders(forge)[-1]
    kept = [txin for place, txin in enumerate(forge.tx.inputs) if place != last]
    return with_inputs(forge, *kept)


@breaks("sender-inputs", inputs=2)
def swaps_two_inputs(forge: Forge) -> bytes:
    """Changes the order of the sender's inputs, which marks the transaction."""
    first, second = _senders(forge)
    inputs = list(forge.tx.inputs)
    inputs[first], inputs[second] = inputs[second], inputs[first]
    return with_inputs(forge, *inputs)


@breaks("sender-sequence")
def changes_every_sequence(forge: Forge) -> bytes:
    """Makes the payjoin final, so that its fee can no longer be raised."""
    return with_sequence(forge, 0xFFFFFFFF, *range(len(forge.tx.inputs)))


@breaks("mixed-sequences")
def changes_its_own_sequence(forge: Forge) -> bytes:
    """Gives its own input another sequence, which tells all the world whose is which."""
    return with_sequence(forge, 0xFFFFFFFE, forge.ours)


@breaks("lock-time")
def locks_the_time(forge: Forge) -> bytes:
    """Locks the payjoin for a thousand blocks."""
    return forge.signed(replace(forge.tx, lock_time=forge.stage.world.node.height + 1000))


@breaks("version")
def changes_the_version(forge: Forge) -> bytes:
    """Changes the transaction's version."""
    return forge.signed(replace(forge.tx, version=1))


@breaks("global-keys")
def names_extended_keys(forge: Forge) -> bytes:
    """Puts an extended public key into the PSBT, for a wallet to take for its own."""
    xpub = b"\x04\x88\xb2\x1e" + bytes(41) + KEY
    entries = forge.honest.global_map.map.with_value(GlobalField.XPUB, PATH[:4], xpub)
    return replace(forge.honest, global_map=PsbtGlobal(entries)).serialize()


@breaks("input-key-paths")
def names_a_key_of_an_input(forge: Forge) -> bytes:
    """Adds the path of a key to the sender's input, to steer a hardware signer."""
    entries = forge.honest.inputs[forge.theirs].map
    named = entries.with_value(InputField.BIP32_DERIVATION, PATH, KEY)
    return forge.with_input(forge.theirs, PsbtInput(named))


@breaks("output-key-paths")
def names_a_key_of_an_output(forge: Forge) -> bytes:
    """Adds the path of a key to its output, to pass it off as the sender's change."""
    named = PsbtOutput().map.with_value(OutputField.BIP32_DERIVATION, PATH, KEY)
    return forge.honest.with_output(0, PsbtOutput(named)).serialize()


@breaks("input-signatures")
def signs_for_the_sender(forge: Forge) -> bytes:
    """Adds a partial signature to the sender's input."""
    (signature, key), *_ = [
        each.final_script_witness for each in forge.honest.inputs if each.final_script_witness
    ]
    theirs = forge.honest.inputs[forge.theirs].with_partial_signature(key, signature)
    return forge.with_input(forge.theirs, theirs)


@breaks("sender-input-final", name="puts a witness into the sender's input")
def puts_a_witness_into_the_senders_input(forge: Forge) -> bytes:
    """Puts the Original's signature back, for a wallet to leave the input alone."""
    witness = forge.original.inputs[0].final_script_witness or ()
    theirs = forge.honest.inputs[forge.theirs].with_final(b"", witness)
    return forge.with_input(forge.theirs, theirs)


@breaks("sender-input-final", name="echoes the Original")
def echoes_the_original(forge: Forge) -> bytes:
    """Answers with the sender's own Original PSBT."""
    return forge.original.serialize()


@breaks("sender-input-sighash")
def asks_for_half_a_signature(forge: Forge) -> bytes:
    """Asks for SINGLE with ANYONECANPAY, so that it could change the rest afterwards."""
    theirs = forge.honest.inputs[forge.theirs].with_sighash_type(SINGLE_ANYONE)
    return forge.with_input(forge.theirs, theirs)


@breaks("receiver-input-not-final")
def leaves_its_input_unsigned(forge: Forge) -> bytes:
    """Has the sender sign first, and then holds the only complete copy."""
    ours = forge.honest.inputs[forge.ours]
    bare = ours.only(InputField.WITNESS_UTXO)
    return forge.with_input(forge.ours, bare)


@breaks("receiver-input-utxo")
def hides_what_it_spends(forge: Forge) -> bytes:
    """Leaves out what its input spends, so that no fee can be reckoned."""
    ours = forge.honest.inputs[forge.ours]
    return forge.with_input(forge.ours, ours.only(InputField.FINAL_SCRIPTWITNESS))


TRICKS = tricks_in(globals())
