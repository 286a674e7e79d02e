from dovetail.stores.holders import numbered, sessions_words
from dovetail.stores.ports import SessionId


def ids(*values: object) -> list[SessionId]:
    return [SessionId(value) for value in values]


def test_sessions_are_named_in_the_order_of_their_numbers():
    assert sessions_words(ids(16, 6, 8)) == "sessions 6, 8, 16"
    assert sessions_words(ids(3)) == "session 3"
    assert numbered(ids("b", "a")) == ids("a", "b")


def test_many_sessions_are_counted():
    assert sessions_words(ids(*range(1, 14))) == (
        "sessions 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 1 more"
    )
