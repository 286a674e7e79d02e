"""Which address is paid by whom: one payment of it, unless its user says otherwise."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sessions.sender import play

from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import DuplicateSession
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import SessionId, Store
from dovetail.stores.session_index import may_have_paid
from dovetail.stores.sql import SqliteStore

PAID = outcomes.Success(txid="0a" * 32)


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with SqliteStore.open(tmp_path / "sessions.db") as opened:
        yield opened


def v1(url: str) -> PayjoinUri:
    return PayjoinUri(play.ADDRESS, play.AMOUNT, V1Endpoint(url))


def v2(key: bytes) -> PayjoinUri:
    receiver = SecretKey(key * 32).public_key
    endpoint = V2Endpoint(play.DIRECTORY, receiver, play.GATEWAY.config, play.EXPIRES_AT)
    return PayjoinUri(play.ADDRESS, play.AMOUNT, endpoint)


def begin(store: Store, uri: PayjoinUri, *, alone: bool = True) -> SessionId:
    log = store.new_sender(alone=alone)
    sender.create(uri=uri, original=play.original(), params=play.PARAMS, now=play.NOW).save(log)
    return log.session_id


def end(store: Store, session_id: SessionId, outcome: outcomes.Outcome) -> None:
    store.sender(session_id).append(events.Closed(outcome=outcome), seq=1, closes=True)


def plainly(store: Store, *, alone: bool = True) -> SessionId:
    log = store.new_sender(alone=alone)
    request = BitcoinUri(play.ADDRESS, play.AMOUNT)
    sender.create_plain(request=request, original=play.original(), now=play.NOW).save(log)
    return log.session_id


SPELLINGS = [
    "https://SHOP.example/pay?id=1",
    "https://shop.example:443/pay?id=1",
    "HTTPS://shop.example/pay?id=1",
    "https://shop.example./pay?id=1",
    "https://shop.example/%70ay?id=1",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_v1_invoice_in_two_spellings_is_one(store: Store, spelling: str) -> None:
    """Found by its URI, and refused also where a second payment of the address is allowed."""
    first = begin(store, v1("https://shop.example/pay?id=1"))
    assert store.session_paying(v1(spelling)) == first
    with pytest.raises(DuplicateSession):
        begin(store, v1(spelling), alone=False)


@pytest.mark.parametrize(
    "other", [v1("https://shop.example/pay?id=1&r=2"), v1("https://else.example/"), v2(b"\x23")]
)
def test_another_link_to_an_address_needs_an_explicit_word(store: Store, other: PayjoinUri) -> None:
    """M4: another query, another server, another key in v2."""
    first = begin(store, v2(b"\x21"))
    assert store.session_paying(other) is None
    assert store.session_paying_to(play.ADDRESS) == first
    with pytest.raises(DuplicateSession, match="`again`"):
        begin(store, other)
    assert begin(store, other, alone=False) == store.session_paying_to(play.ADDRESS)


def test_other_addresses_are_nobodys(store: Store) -> None:
    begin(store, v2(b"\x21"))
    assert store.session_paying_to(Address.from_script(play.ELSEWHERE, Network.REGTEST)) is None


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (PAID, True),
        (outcomes.FallbackBroadcasted(txid="0a" * 32), True),
        (outcomes.PaidDirectly(txid="0a" * 32), True),
        (outcomes.Unrecognized(txid="0a" * 32), True),
        (outcomes.Cancelled(why=Reason.CANCELLED_BY_US), False),
        (outcomes.Cancelled(why=Reason.COINS_GONE), True),
        (outcomes.Revoked(txid="0a" * 32), False),
    ],
)
def test_only_what_ended_unpaid_does_not_count(
    store: Store, outcome: outcomes.Outcome, *, counts: bool
) -> None:
    first = begin(store, v2(b"\x21"))
    end(store, first, outcome)
    assert store.session_paying_to(play.ADDRESS) == (first if counts else None)
    if not counts:
        assert begin(store, v2(b"\x23")) == SessionId(2)


def test_a_payment_that_ended_unpaid_hides_no_other(store: Store) -> None:
    first = begin(store, v2(b"\x21"))
    end(store, begin(store, v2(b"\x23"), alone=False), outcomes.Revoked(txid="0a" * 32))
    assert store.session_paying_to(play.ADDRESS) == first


def test_an_ordinary_payment_counts_as_any_other(store: Store) -> None:
    first = plainly(store)
    assert store.session_paying_to(play.ADDRESS) == first
    with pytest.raises(DuplicateSession, match="`again`"):
        begin(store, v2(b"\x21"))


def test_an_ordinary_payment_is_not_begun_after_another(store: Store) -> None:
    begin(store, v2(b"\x21"))
    with pytest.raises(DuplicateSession, match="`again`"):
        plainly(store)
    assert plainly(store, alone=False) == SessionId(2)


def test_what_cannot_be_read_may_have_paid() -> None:
    assert may_have_paid(b"")
    assert may_have_paid(b'{"v":9}')
    assert may_have_paid(sender.encode_event(events.StartedPosting()))


def test_of_two_at_the_same_time_one_pays(store: Store) -> None:
    """The look and the first write are one."""
    answers: list[object] = []

    def pay(key: bytes) -> None:
        try:
            answers.append(begin(store, v2(key)))
        except DuplicateSession as error:
            answers.append(error)

    threads = [threading.Thread(target=pay, args=(bytes([key]),)) for key in range(0x21, 0x29)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([answer for answer in answers if not isinstance(answer, DuplicateSession)]) == 1
    assert len(store.live()) == 1
