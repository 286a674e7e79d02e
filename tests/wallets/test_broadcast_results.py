"""What servers say of a transaction that they were handed, and what we take it for.

The frames and words are typed from the sources of the servers that are named, the reasons from
Bitcoin Core's validation.cpp, policy.cpp, packages.cpp, rbf.cpp and rpc/util.cpp.
"""

import pytest

from dovetail.errors import ChainError
from dovetail.wallets.broadcast_results import parse_broadcast_result
from dovetail.wallets.ports import Accepted, Refused, Unknown

RAW = "0200000001" + "ab" * 60

REASONS = (
    # consensus/tx_check.cpp, consensus/tx_verify.cpp
    "bad-txns-inputs-missingorspent",
    "bad-txns-in-belowout, value in (0.001) < value out (0.002)",
    "bad-txns-vin-empty",
    "bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 3",
    "bad-txns-nonstandard-inputs",
    "bad-witness-nonstandard",
    "bad-txns-spends-conflicting-tx, … spends conflicting transaction …",
    # policy/policy.cpp
    "dust",
    "dust, tx with dust output must be 0-fee",
    "version",
    "tx-size",
    "tx-size-small",
    "scriptsig-size",
    "scriptsig-not-pushonly",
    "scriptpubkey",
    "bare-multisig",
    "multi-op-return",
    "datacarrier",
    "missing-ephemeral-spends",
    # validation.cpp
    "coinbase",
    "non-final",
    "non-BIP68-final",
    "txn-mempool-conflict",
    "bip125-replacement-disallowed",
    "min relay fee not met, 528 < 529",
    "mempool min fee not met, 141 < 1410",
    "mempool full",
    "too-long-mempool-chain, too many unconfirmed ancestors [limit: 25]",
    "too-large-cluster",
    "insufficient fee, rejecting replacement …; new feerate 0.00001 BTC/kvB <= old 0.00002",
    "too many potential replacements, rejecting replacement …",
    "replacement-adds-unconfirmed",
    "replacement-failed, insufficient feerate: does not improve feerate diagram",
    "TRUC-violation, tx would have too many ancestors",
    "mandatory-script-verify-flag-failed (Signature must be zero for failed CHECK(MULTI)SIG)",
    "mandatory-script-verify-flag-failed (Invalid Schnorr signature), input 0 of …, spending …:0",
    "non-mandatory-script-verify-flag (Witness program hash mismatch)",
    "mempool-script-verify-flag-failed (Non-canonical DER signature)",
    "max feerate exceeded",
    "package-mempool-limits",
    # rpc/rawtransaction.cpp, common/messages.cpp
    "TX decode failed. Make sure the tx has at least one input.",
    "Missing inputs",
    "Inputs missing or spent",
    "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)",
    "Unspendable output exceeds maximum configured by user (maxburnamount)",
)
ALREADY = (
    "Transaction outputs already in utxo set",  # from Bitcoin Core 25 on
    "Transaction already in block chain",  # before it
    "transaction already in block chain",  # before 0.19
    "txn-already-in-mempool",
    "txn-already-known",
    "txn-same-nonwitness-data-in-mempool",
)
TROUBLES = (
    # the node's, in warm-up (init.cpp), httpserver.cpp, net
    "Loading block index…",
    "Loading block index...",
    "Verifying blocks…",
    "Loading P2P addresses…",
    "Rescanning…",
    "Starting network threads…",
    "Work queue depth exceeded",
    "Mempool internal error",
    # ElectrumX's and Fulcrum's own
    "excessive resource usage",
    "server busy - request timed out",
    "Server is syncing",
    "daemon request timed out",
    # electrs' own
    "unavailable index",
    "daemon not connected",
)


def electrumx(words: str) -> str:
    """electrumx/server/session.py, transaction_broadcast."""
    return f"the transaction was rejected by network rules.\n\n{words}\n[{RAW}]"


def fulcrum(words: str) -> str:
    """Fulcrum, src/Servers.cpp, rpc_blockchain_transaction_broadcast."""
    return f"the transaction was rejected by network rules.\n\n{words}\n"


def romanz(words: str) -> str:
    """romanz/electrs, src/electrum.rs: the node's words alone."""
    return words


def blockstream(words: str) -> str:
    """Blockstream/electrs, src/errors.rs, since its errors keep the node's code."""
    return f"sendrawtransaction RPC error {code(words)}: {words}"


def mempool(words: str) -> str:
    """mempool/electrs and older Blockstream/electrs: the node's error object as it came."""
    quoted = words.replace('"', '\\"')
    return f'sendrawtransaction RPC error: {{"code":{code(words)},"message":"{quoted}"}}'


def prefixed(words: str) -> str:
    """Nodes before Bitcoin Core 0.19 put the BIP 61 code first."""
    return f"64: {words}"


FRAMES = (electrumx, fulcrum, romanz, blockstream, mempool)


def code(words: str) -> int:
    if words in ALREADY[:3]:
        return -27
    if words in TROUBLES:
        return -25 if "internal" in words else -28
    if "decode" in words:
        return -22
    return -25 if words.startswith(("bad-txns-inputs-m", "Missing", "Fee", "Unspend")) else -26


@pytest.mark.parametrize("frame", [*FRAMES, prefixed])
@pytest.mark.parametrize("words", REASONS)
def test_every_reason_of_the_network_is_a_refusal_in_every_frame(frame, words) -> None:
    verdict = parse_broadcast_result(frame(words))
    assert isinstance(verdict, Refused)
    assert words.split(",")[0] in verdict.reason


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("words", ALREADY)
def test_what_is_there_already_is_accepted_in_every_frame(frame, words) -> None:
    assert parse_broadcast_result(frame(words)) == Accepted()


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("words", TROUBLES)
def test_a_servers_own_trouble_is_never_the_networks_word(frame, words) -> None:
    with pytest.raises(ChainError, match="tries again"):
        parse_broadcast_result(frame(words))


@pytest.mark.parametrize(
    "words",
    [
        "",
        "no",
        "<html><body>403 Forbidden: access to dust denied, try again</body></html>",
        "11" * 32,
        "Broadcast is switched off here",
    ],
)
def test_words_that_tell_neither_are_not_guessed_at(words) -> None:
    assert isinstance(parse_broadcast_result(words), Unknown)


@pytest.mark.parametrize(
    ("number", "words", "kind"),
    [
        (-27, "in words of its own", Accepted),
        (-26, "in words of its own", Refused),
        (-25, "in words of its own", Refused),
        (-22, "in words of its own", Refused),
        (-26, "txn-already-known", Accepted),
    ],
)
def test_the_nodes_code_decides_whatever_its_words_are(number, words, kind) -> None:
    assert isinstance(parse_broadcast_result(words, code=number), kind)
    error = f'{{"code":{number},"message":"{words}"}}'
    assert isinstance(parse_broadcast_result(f"sendrawtransaction RPC error: {error}"), kind)
    assert isinstance(
        parse_broadcast_result(f"sendrawtransaction RPC error {number}: {words}"), kind
    )
    assert isinstance(parse_broadcast_result(f'{{"error":"{error}"}}'.replace('"', '\\"')), kind)


def test_other_codes_of_the_node_are_trouble() -> None:
    for number in (-1, -9, -10, -28, -32603):
        with pytest.raises(ChainError):
            parse_broadcast_result("in words of its own", code=number)


def test_the_transaction_itself_stays_out_of_the_reason() -> None:
    verdict = parse_broadcast_result(electrumx("dust"))
    assert isinstance(verdict, Refused)
    assert RAW[:40] not in verdict.reason
    assert verdict.reason.isprintable()
    assert len(parse_broadcast_result("dust" + "x" * 1_000).reason) == 200  # type: ignore[union-attr]
