"""Logs of earlier releases, which every later release reads (the policy in `codec.py`)."""

from pathlib import Path

import pytest
from msgspec import structs

from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason

LOGS = Path(__file__).parents[2] / "eventlogs" / "v1" / "receiver"
FALLBACK = "1859e17cc936d7437d98218c583837f7b3972ce42ef34fbd94e614ec1b544e33"
STRANGER = "77" * 32

OUTCOMES: dict[str, outcomes.Outcome] = {
    "paid-by-payjoin": outcomes.Success(
        txid="582dc30584b62c6060a9095bf3e5cd5fca6a54efe5b66110dc3780e38029c298"
    ),
    "paid-by-payjoin-of-v1-directory": outcomes.Success(
        txid="37c52f93e8cd0777bdaa771326cad248648fb040773186ead3492b4bdfa50d33"
    ),
    "paid-by-payjoin-of-v1-http": outcomes.Success(
        txid="944882444022ea6e0cded2a2b0ad63c9c8588bb16eb02dff09a2b1389287b241"
    ),
    "paid-by-payjoin-of-nested-coins": outcomes.Success(
        txid="7aa6a9f9732831d0c04e989c563719a1a2d4e39b5eb27a6c659cd925a1c5da54"
    ),
    "paid-by-fallback-when-due": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.FALLBACK_DUE
    ),
    "paid-by-fallback-on-request": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.FALLBACK_REQUESTED
    ),
    "paid-by-payjoin-and-directly": outcomes.Success(
        txid="582dc30584b62c6060a9095bf3e5cd5fca6a54efe5b66110dc3780e38029c298",
        beside=50_000,
        others=("79" * 32,),
    ),
    "paid-by-fallback-and-directly": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.FALLBACK_DUE, beside=20_000, others=("79" * 32,)
    ),
    "paid-directly-twice": outcomes.PaidDirectly(
        txid=STRANGER, others=("78" * 32,), received=100_000, beyond=("79" * 32,)
    ),
    "paid-directly": outcomes.PaidDirectly(txid=STRANGER),
    "refused-as-paid": outcomes.PaidDirectly(txid=STRANGER),
    "malformed-original": outcomes.Cancelled(why=Reason.ORIGINAL_MALFORMED),
    "expired-unpaid": outcomes.Expired(),
    "expired-unreachable": outcomes.Expired(why=Reason.DIRECTORY_UNREACHABLE),
    "replied-with-error": outcomes.Cancelled(why=Reason.ORIGINAL_NOT_BROADCASTABLE),
    "reply-failed-then-broadcast": outcomes.Unrecognized(
        txid="623b2ccabae9e386e2141c5a65251c568854f23cc4e328050b75f02f450770d3"
    ),
    "released-while-proposal-is-out": outcomes.PaidDirectly(
        txid="a2b60fa50cc4070a8373cf2ef6ffe02a8a246067974b4231ba7d7147e42d7808"
    ),
    "released-after-the-post": outcomes.PaidDirectly(
        txid="a2b60fa50cc4070a8373cf2ef6ffe02a8a246067974b4231ba7d7147e42d7808"
    ),
    "paid-by-pending-fallback-on-request": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.CANCELLED_BY_US
    ),
    "nobody-can-tell": outcomes.PayjoinProposalSent(),
    "paid-directly-before-the-check": outcomes.PaidDirectly(txid=STRANGER),
    "paid-directly-instead-of-reply": outcomes.PaidDirectly(txid=STRANGER),
    "replied-then-released": outcomes.Cancelled(why=Reason.NO_COINS_TO_CONTRIBUTE),
    "reply-failed": outcomes.Cancelled(why=Reason.ORIGINAL_NOT_BROADCASTABLE),
    "reply-expired": outcomes.Expired(),
    "version-unsupported": outcomes.Cancelled(why=Reason.ORIGINAL_VERSION_UNSUPPORTED),
    "paid-directly-in-parts": outcomes.PaidDirectly(
        txid=STRANGER, others=("78" * 32,), received=50_000
    ),
    "expired-short-of-the-amount": outcomes.Expired(
        why=Reason.DIRECTORY_UNREACHABLE, received=20_000, txids=(STRANGER,)
    ),
    "reopened-then-paid": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.SENDER_CHOSE_FALLBACK
    ),
    "reply-made-needless-by-the-fallback": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.NO_COINS_TO_CONTRIBUTE
    ),
    "paid-while-replying": outcomes.PaidDirectly(txid=STRANGER, received=50_000),
    "spent-while-replying": outcomes.Unrecognized(
        txid="623b2ccabae9e386e2141c5a65251c568854f23cc4e328050b75f02f450770d3", received=20_000
    ),
    "paid-while-the-fallback-waits": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.CANCELLED_BY_US
    ),
    "paid-while-the-proposal-is-out": outcomes.PaidDirectly(txid=STRANGER, received=50_000),
    "inputs-gone": outcomes.Cancelled(why=Reason.COINS_GONE, received=20_000, txids=(STRANGER,)),
    "coins-gone": outcomes.Cancelled(why=Reason.COINS_GONE, received=20_000, txids=(STRANGER,)),
    "coins-gone-while-watched": outcomes.Cancelled(why=Reason.COINS_GONE),
    "never-owed": outcomes.Cancelled(
        why=Reason.CANCELLED_BY_US, received=20_000, txids=(STRANGER,)
    ),
    "coins-taken-back": outcomes.Revoked(
        txid="a492d7523d0ad61c08257922f860f7dab25da542174c156ead4b75430b47e5ef"
    ),
}

PLACES = (
    "inputs-owned",
    "inputs-seen",
    "outputs",
    "committing-outputs",
    "committing-inputs",
    "fee-range",
    "signing",
)

OPEN: dict[str, tuple[type[receiver.ReceiverSession], Reason | None]] = {
    "exposed-coin-again": (receiver.WantsFeeRange, None),
    "vouched-for": (receiver.MaybeInputsSeen, None),
    "post-expired": (receiver.PendingFallback, Reason.EXPIRED_BEFORE_REPLY),
    "post-given-up": (receiver.PendingFallback, Reason.DIRECTORY_UNREACHABLE),
    "reply-cancelled-with-fallback": (receiver.PendingFallback, Reason.NO_COINS_TO_CONTRIBUTE),
    "reply-expired-with-fallback": (receiver.PendingFallback, Reason.NO_COINS_TO_CONTRIBUTE),
    **{
        f"{ended}-at-{place}": (receiver.PendingFallback, reason)
        for ended, reason in (
            ("cancelled", Reason.CANCELLED_BY_US),
            ("failed", Reason.DIRECTORY_UNREACHABLE),
            ("expired", Reason.EXPIRED_BEFORE_REPLY),
        )
        for place in PLACES
    },
    **{
        f"{ended}-at-{place}": (state, reason)
        for ended, state, reason in (
            ("taken", receiver.PendingFallback, Reason.FALLBACK_REQUESTED),
            ("paid", receiver.PendingFallback, Reason.PAID_DIRECTLY),
            ("spent", receiver.Monitor, Reason.ORIGINAL_INPUTS_SPENT),
        )
        for place in (*PLACES, "posting")
    },
    **{
        f"refused-at-{place}": (receiver.HasReplyableError, Reason.WALLET_UNAVAILABLE)
        for place in ("inputs-seen", "outputs", "committing-outputs", "fee-range", "signing")
    },
}
"""Logs that end before their session does: the state, and why there is no payjoin."""


def test_every_log_is_named_here() -> None:
    assert {path.stem for path in LOGS.iterdir()} == OUTCOMES.keys() | OPEN.keys()


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_log_of_version_1_still_ends_as_it_did(name: str) -> None:
    lines = (LOGS / f"{name}.jsonl").read_bytes().splitlines()
    session = receiver.replay(map(receiver.decode_event, lines))
    assert session.seq == len(lines)
    expected = OUTCOMES[name]
    assert isinstance(session, receiver.Closed)
    if isinstance(session.outcome, outcomes.Success):
        assert session.payjoin is not None
        assert str(session.payjoin.txid) == session.outcome.txid
        assert structs.replace(session.outcome, signatures=()) == expected
    else:
        assert session.outcome == expected


@pytest.mark.parametrize("name", OPEN)
def test_an_open_log_of_version_1_still_stands_where_it_did(name: str) -> None:
    lines = (LOGS / f"{name}.jsonl").read_bytes().splitlines()
    session = receiver.replay(map(receiver.decode_event, lines))
    assert session.seq == len(lines)
    assert (type(session), getattr(session, "reason", None)) == OPEN[name]
