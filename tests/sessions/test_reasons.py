"""Why a session brought no payjoin."""

import pytest

from dovetail.sessions.reasons import Reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_and_advice_of_one_sentence(reason: Reason) -> None:
    for sentence in (reason.words, reason.advice):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert sentence.count(". ") == 0


def test_a_code_is_its_name_in_small_letters() -> None:
    assert all(reason == reason.name.lower().replace("_", "-") for reason in Reason)


def test_a_reason_is_found_by_its_code() -> None:
    assert Reason("fee-cap") is Reason.FEE_CAP  # type: ignore[call-arg]
