"""How a session ended, as it is stored."""

from typing import get_args

import msgspec
import pytest

from dovetail.sessions import outcomes
from dovetail.sessions.outcomes import InputSignature, Outcome
from dovetail.sessions.reasons import Reason

EXAMPLES: list[Outcome] = [
    outcomes.Success(txid="ab", signatures=(InputSignature(script_sig=b"s", witness=(b"w",)),)),
    outcomes.FallbackBroadcasted(txid="ab", why=Reason.FEE_CAP),
    outcomes.FallbackBroadcasted(txid="ab"),
    outcomes.Unrecognized(txid="ab"),
    outcomes.PaidDirectly(txid="ab"),
    outcomes.PayjoinProposalSent(),
    outcomes.Revoked(txid="ab"),
    outcomes.Cancelled(why=Reason.CANCELLED_BY_US),
    outcomes.Expired(),
]


@pytest.mark.parametrize("outcome", EXAMPLES)
def test_an_outcome_survives_its_storage(outcome: Outcome) -> None:
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome


def test_every_outcome_has_an_example() -> None:
    assert {type(outcome) for outcome in EXAMPLES} == set(get_args(Outcome))


def test_an_outcome_shows_its_transaction_but_no_signature() -> None:  # P4
    assert (
        repr(EXAMPLES[0])
        == "Success(txid='ab', beside=0, others=(), signatures=(<InputSignature>,))"
    )
