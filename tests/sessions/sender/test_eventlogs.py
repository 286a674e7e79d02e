"""Logs of earlier releases, which every later release reads (the policy in `codec.py`)."""

import pytest
from tests.eventlogs.logs import NAMES, entries

from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason

PAYJOIN = "6070aa495cb7f6fc73b54e97f5d34d131a0ec761066279d98e33ed75a7ca6e71"
FALLBACK = "03cfab0a465facbb2f4c906a87c41b8a73c057de18b4928bc5f3e2e36fc6356d"
REVOCATION = "5a2ba3dd266fa72eb8f216f0634d0237bccf8b0690087fa94dee654dd97a19c0"
RAISED = "05ba881105ffa338f96f7f2e926ee4583dc2c173311b78ce4b40173d6f6ec2ef"
STRANGER = "d007e9f22b1995676ecffb47d868e2cd6774ebb076967b5bc705b6ebbbaaf1a5"

OUTCOMES: dict[str, outcomes.Outcome] = {
    "success": outcomes.Success(txid=PAYJOIN),
    "success-v1": outcomes.Success(txid=PAYJOIN),
    "success-after-eviction": outcomes.Success(txid=PAYJOIN),
    "cancelled": outcomes.Cancelled(why=Reason.CANCELLED_BY_US),
    "expired": outcomes.FallbackBroadcasted(txid=FALLBACK, why=Reason.EXPIRED_WAITING_FOR_PROPOSAL),
    "rule-broken": outcomes.FallbackBroadcasted(txid=FALLBACK, why=Reason.PROPOSAL_BROKE_RULE),
    "signing-deadline": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.SIGNING_DEADLINE_PASSED
    ),
    "taken-after-release": outcomes.FallbackBroadcasted(txid=FALLBACK, why=Reason.CANCELLED_BY_US),
    "revoked": outcomes.Revoked(txid=REVOCATION),
    "unrecognized": outcomes.Unrecognized(txid=STRANGER),
    "asked-for-before-posting": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.CANCELLED_BY_US
    ),
    "asked-for-instead-of-payjoin": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.FALLBACK_REQUESTED
    ),
    "coins-gone": outcomes.Cancelled(why=Reason.COINS_GONE),
    "coins-gone-while-pending": outcomes.Cancelled(why=Reason.COINS_GONE),
    "coins-missed": outcomes.Cancelled(why=Reason.COINS_GONE),
    "coins-missed-while-pending": outcomes.Cancelled(why=Reason.COINS_GONE),
    "plain": outcomes.FallbackBroadcasted(txid=FALLBACK, why=Reason.PLAIN_PAYMENT),
    "fee-raised": outcomes.FallbackBroadcasted(txid=RAISED, why=Reason.CANCELLED_BY_US),
    "paid-by-another": outcomes.PaidDirectly(txid=RAISED),
}

OPEN: dict[str, tuple[type[sender.SenderSession], Reason | None]] = {
    "without-substitution": (sender.WithReplyKey, None),
    "expired-before-posting": (sender.PendingFallback, Reason.EXPIRED_BEFORE_POSTING),
    "cancelled-while-posting": (sender.PendingFallback, Reason.CANCELLED_BY_US),
    "failed-while-posting": (sender.PendingFallback, Reason.DIRECTORY_UNREACHABLE),
    "expired-while-posting": (sender.PendingFallback, Reason.EXPIRED_BEFORE_POSTING),
    "cancelled-before-signing": (sender.PendingFallback, Reason.CANCELLED_BY_US),
    "failed-before-signing": (sender.PendingFallback, Reason.WALLET_CANNOT_SIGN),
    "payjoin-refused": (sender.PendingFallback, Reason.PAYJOIN_REFUSED_BY_NETWORK),
    "again": (sender.PendingFallback, Reason.CANCELLED_BY_US),
    "payjoin-dropped": (sender.PendingBroadcast, None),
    "fee-raised-while-pending": (sender.PendingFallback, Reason.CANCELLED_BY_US),
    "asked-for-at-once": (sender.PendingFallback, Reason.FALLBACK_REQUESTED),
    "failed-before-posting": (sender.PendingFallback, Reason.DIRECTORY_UNREACHABLE),
    "asked-for-while-posting": (sender.PendingFallback, Reason.FALLBACK_REQUESTED),
    "asked-for-while-waiting": (sender.PendingFallback, Reason.FALLBACK_REQUESTED),
    "asked-for-before-signing": (sender.PendingFallback, Reason.FALLBACK_REQUESTED),
    "asked-for-before-broadcast": (sender.PendingFallback, Reason.FALLBACK_REQUESTED),
    "asked-for-and-spend-dropped": (sender.PendingFallback, Reason.CANCELLED_BY_US),
}
"""Logs that end before their session does: the state, and why there is no payjoin."""


def test_every_log_is_named_here():
    kept = {name.removeprefix("sender/") for name in NAMES if name.startswith("sender/")}
    assert kept == OUTCOMES.keys() | OPEN.keys()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", OUTCOMES)
def test_a_kept_log_still_ends_as_it_did(name, version):
    lines = entries(f"sender/{name}", version=version)
    session = sender.replay(map(sender.decode_event, lines))
    assert isinstance(session, sender.Closed)
    assert session.outcome == OUTCOMES[name]
    assert session.seq == len(lines)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", OPEN)
def test_an_open_kept_log_still_stands_where_it_did(name, version):
    lines = entries(f"sender/{name}", version=version)
    session = sender.replay(map(sender.decode_event, lines))
    assert session.seq == len(lines)
    assert (type(session), getattr(session, "reason", None)) == OPEN[name]
