"""The status that a row tells without its log, and when it cannot."""

import msgspec
import pytest

from dovetail.bitcoin import UnixTime
from dovetail.errors import ReplayError
from dovetail.sessions.standing import EDITION, Standing
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import Role, SessionId, SessionRow

NOW = UnixTime(5)
ROW = SessionRow(
    session_id=SessionId(1),
    role=Role.RECEIVER,
    created_at=UnixTime(1),
    expires_at=UnixTime(9),
    closed_at=None,
    last_tag="PostedPayjoinProposal",
    next_seq=2,
    summary=Standing(edition=EDITION, state="Monitor"),
)


def test_a_row_tells_the_status_by_its_summary() -> None:
    assert ROW.status(NOW) is SessionStatus.PROPOSAL_SENT


def test_a_closed_log_is_closed_though_nothing_could_be_drawn_of_it() -> None:
    closed = msgspec.structs.replace(ROW, closed_at=NOW, summary=None)
    assert closed.status(NOW) is SessionStatus.CLOSED


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"summary": None}, "load its log"),
        ({"last_tag": "StartedPosting"}, "unknown to this release"),
        ({"last_tag": "Beamed", "closed_at": NOW}, "unknown to this release"),
    ],
    ids=["no summary", "the other role's event", "a newer event"],
)
def test_what_only_the_log_can_tell_is_not_guessed_at(
    change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ReplayError, match=sentence):
        msgspec.structs.replace(ROW, **change).status(NOW)
