import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from dovetail.crypto.once import Once
from dovetail.errors import ContextUsedUp


def test_a_value_can_be_taken_once() -> None:
    once = Once("value")
    assert once.take() == "value"
    with pytest.raises(ContextUsedUp, match="start again"):
        once.take()


def test_of_many_threads_one_gets_the_value() -> None:
    once = Once("value")

    def attempt(_: int) -> str | None:
        try:
            return once.take()
        except ContextUsedUp:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(filter(None, pool.map(attempt, range(100)))) == ["value"]


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_nothing_duplicates_what_can_be_taken_once(duplicate) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        duplicate(Once("value"))


def test_the_repr_says_nothing_about_the_value() -> None:
    assert "value" not in repr(Once("value"))
