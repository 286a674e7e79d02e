"""Receivers whose Proposal cheats: in its transaction, or in what the PSBT says about it."""

from dataclasses import replace
from functools import partial

from tests.hostile.forge import Forge, answering
from tests.hostile.record import Tricks
from tests.properties.histories.lies import moved, redirected, without

from dovetail.bitcoin import Sats, Script, Transaction, TxIn, TxOut
from dovetail.bitcoin.psbt import GlobalField, InputField, OutputField, PsbtGlobal, PsbtInput
from dovetail.bitcoin.psbt import PsbtOutput as Output
from dovetail.crypto.secp256k1 import SecretKey

KEY = SecretKey(b"\x0d" * 32).public_key.compressed
PATH = b"\xaa\xbb\xcc\xdd" + bytes(4)
XPUB = b"\x04\x88\xb2\x1e" + bytes(41) + KEY
SEQUENCE = 0xFFFFFFFD
MANY = 12
SINGLE_ANYONE = 0x83


def changed(forge: Forge, **parts: object) -> bytes:
    """The Proposal of the honest transaction with other parts, signed."""
    return forge.signed(replace(forge.tx, **parts))  # type: ignore[arg-type] # names of its fields


def with_sequence(forge: Forge, sequence: int, *places: int) -> bytes:
    inputs = [
        replace(txin, sequence=sequence) if place in places else txin
        for place, txin in enumerate(forge.tx.inputs)
    ]
    return changed(forge, inputs=tuple(inputs))


def to_another(forge: Forge, old: Script) -> bytes:
    """What goes to this script goes to another one of the receiver's."""
    new = forge.stage.bob.party.wallet.new_address().script_pubkey
    return forge.signed(redirected(forge.tx, old, new))


def with_theirs(forge: Forge, psbt_input: PsbtInput) -> bytes:
    return forge.with_input(forge.theirs, psbt_input)


def _theirs(forge: Forge) -> PsbtInput:
    return forge.honest.inputs[forge.theirs]


def _ours(forge: Forge, *fields: InputField) -> bytes:
    """The receiver's own input with these fields alone."""
    return forge.with_input(forge.ours, forge.honest.inputs[forge.ours].only(*fields))


def _senders(forge: Forge) -> list[int]:
    senders = forge.original.unsigned_transaction.contested()
    return [i for i, each in enumerate(forge.tx.contested()) if each in senders]


def _original(forge: Forge) -> Transaction:
    return forge.original.unsigned_transaction


TRICKS = Tricks()
TRICKS.update(
    takes_from_the_change=answering(
        lambda forge: forge.signed(moved(moved(forge.tx, forge.change, -5_000), forge.payee, 5_000))
    ),
    burns_the_change=answering(lambda forge: forge.signed(moved(forge.tx, forge.change, -5_000))),
    pockets_the_contribution=answering(
        lambda forge: forge.signed(moved(forge.tx, forge.payee, 50))
    ),
    takes_the_fee=answering(lambda forge: forge.signed(moved(forge.tx, forge.payee, 2_000))),
    brings_no_input=answering(
        lambda forge: forge.signed(moved(_original(forge), forge.change, -100))
    ),
    forgets_the_change=answering(lambda forge: forge.signed(without(forge.tx, forge.change))),
    keeps_the_change=answering(lambda forge: to_another(forge, forge.change)),
    pays_elsewhere=answering(lambda forge: to_another(forge, forge.payee), pjos=False),
    turns_the_outputs_round=answering(
        lambda forge: changed(forge, outputs=forge.tx.outputs[::-1]), pjos=False
    ),
    changes_every_sequence=answering(
        lambda forge: with_sequence(forge, 0xFFFFFFFF, *range(len(forge.tx.inputs)))
    ),
    changes_its_own_sequence=answering(lambda forge: with_sequence(forge, 0xFFFFFFFE, forge.ours)),
    locks_the_time=answering(
        lambda forge: changed(forge, lock_time=forge.stage.world.node.height + 1000)
    ),
    changes_the_version=answering(lambda forge: changed(forge, version=1)),
    echoes_the_original=answering(lambda forge: forge.original.serialize()),
    puts_a_witness_into_the_senders_input=answering(
        lambda forge: with_theirs(
            forge,
            _theirs(forge).with_final(b"", forge.original.inputs[0].final_script_witness or ()),
        )
    ),
    asks_for_half_a_signature=answering(
        lambda forge: with_theirs(forge, _theirs(forge).with_sighash_type(SINGLE_ANYONE))
    ),
    leaves_its_input_unsigned=answering(lambda forge: _ours(forge, InputField.WITNESS_UTXO)),
    hides_what_it_spends=answering(lambda forge: _ours(forge, InputField.FINAL_SCRIPTWITNESS)),
)


@TRICKS.by(answering)
def brings_many_inputs(forge: Forge) -> bytes:
    # A dozen coins more, and not a satoshi for the miner.
    forge.stage.world.fund(forge.stage.bob.party, *[10_000] * MANY)
    coins = forge.stage.bob.party.wallet.coins()
    more = [TxIn(coin.outpoint, sequence=SEQUENCE) for coin in coins if coin.utxo.value == 10_000]
    heavier = replace(forge.tx, inputs=(*forge.tx.inputs, *more))
    return forge.signed(moved(heavier, forge.payee, 10_000 * MANY))


@TRICKS.by(partial(answering, pjos=False))
def pays_less(forge: Forge) -> bytes:
    # Takes its own coin back, and some of the payment with it: the payee gets less than agreed.
    aside = forge.stage.bob.party.wallet.new_address().script_pubkey
    paid = next(o.value for o in forge.tx.outputs if o.script_pubkey == forge.payee)
    lower = moved(forge.tx, forge.payee, 40_000 - int(paid))
    return forge.signed(replace(lower, outputs=(*lower.outputs, TxOut(Sats(paid - 41_000), aside))))


@TRICKS.by(answering)
def spends_another_coin_of_the_sender(forge: Forge) -> bytes:
    spent = forge.tx.contested()
    coins = forge.stage.alice.party.wallet.coins()
    other = next(coin for coin in coins if coin.outpoint not in spent)
    more = replace(forge.tx, inputs=(*forge.tx.inputs, TxIn(other.outpoint, sequence=SEQUENCE)))
    return forge.signed(moved(more, forge.payee, int(other.utxo.value)))


@TRICKS.by(partial(answering, inputs=2))
def leaves_out_an_input(forge: Forge) -> bytes:
    last = _senders(forge)[-1]
    kept = [txin for place, txin in enumerate(forge.tx.inputs) if place != last]
    return changed(forge, inputs=tuple(kept))


@TRICKS.by(partial(answering, inputs=2))
def swaps_two_inputs(forge: Forge) -> bytes:
    first, second = _senders(forge)
    inputs = list(forge.tx.inputs)
    inputs[first], inputs[second] = inputs[second], inputs[first]
    return changed(forge, inputs=tuple(inputs))


@TRICKS.by(answering)
def names_extended_keys(forge: Forge) -> bytes:
    entries = forge.honest.global_map.map.with_value(GlobalField.XPUB, PATH[:4], XPUB)
    return replace(forge.honest, global_map=PsbtGlobal(entries)).serialize()


@TRICKS.by(answering)
def names_a_key_of_an_input(forge: Forge) -> bytes:
    named = _theirs(forge).map.with_value(InputField.BIP32_DERIVATION, PATH, KEY)
    return with_theirs(forge, PsbtInput(named))


@TRICKS.by(answering)
def names_a_key_of_an_output(forge: Forge) -> bytes:
    named = Output().map.with_value(OutputField.BIP32_DERIVATION, PATH, KEY)
    return forge.honest.with_output(0, Output(named)).serialize()


@TRICKS.by(answering)
def signs_for_the_sender(forge: Forge) -> bytes:
    (signature, key), *_ = [
        each.final_script_witness for each in forge.honest.inputs if each.final_script_witness
    ]
    return with_theirs(forge, _theirs(forge).with_partial_signature(key, signature))
