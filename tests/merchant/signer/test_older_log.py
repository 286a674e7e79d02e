"""A signer whose log is older than the shop's database signs nothing, until its owner says so."""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.merchant.shop import DESCRIPTOR, add_one, add_shop, opened
from tests.merchant.signer.deals import AMOUNT, SignersHouse
from tests.merchant.signer.served import serving

from dovetail.merchant.data.database import Database
from dovetail.merchant.services.reminding import recalls
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import SignerRefused
from dovetail.merchant.signer.reasons import reason_of
from dovetail.merchant.signer.service import OLDER_LOG, SignerService


def recall(house: SignersHouse, *sessions: str, payments: tuple[str, ...] = ()) -> messages.Recall:
    return messages.Recall(hot=house.keys.hot, sessions=sessions, payments=payments)


def put_back(house: SignersHouse, copy: Path, *, accepts_older: bool = False) -> None:
    """Start the signer again with an older log."""
    house.log.close()
    for suffix in ("-wal", "-shm"):
        (house.folder / f"signer.db{suffix}").unlink(missing_ok=True)
    (house.folder / "signer.db").write_bytes(copy.read_bytes())
    house.log = SignerLog.open(house.folder / "signer.db")
    house.service = SignerService(house.keys, house.log, house.limits, accepts_older=accepts_older)


@pytest.fixture
def older(house: SignersHouse) -> Path:
    """A copy of the log from before another session was opened and one was signed."""
    copy = house.folder / "older.db"
    with closing(sqlite3.connect(house.folder / "signer.db")) as log:
        log.execute("VACUUM INTO ?", (str(copy),))
    house.signed(house.deal.request())
    house.opened("invoice-2")
    return copy


def test_a_log_that_knows_all_signs_on(house: SignersHouse):
    house.opened("invoice-2")
    told = recall(house, "invoice-2", "invoice-1")
    assert house.service.answer(told) == messages.Done()
    house.signed(house.deal.request())


SIGNING: dict[str, Callable[[SignersHouse], messages.Request]] = {
    "open": lambda _: messages.Open(session="invoice-3", demand=AMOUNT),
    "sign": lambda house: house.deal.request(),
    "queued": lambda _: messages.Queued(id="refund-1"),
}


@pytest.mark.parametrize("kind", SIGNING)
def test_an_older_log_signs_nothing(house: SignersHouse, older: Path, kind: str):
    put_back(house, older)
    assert house.refusal(recall(house, "invoice-2", "invoice-1")) == OLDER_LOG
    assert house.refusal(SIGNING[kind](house)) == OLDER_LOG


def test_what_it_forgot_is_told_though_the_newest_is_known(house: SignersHouse, older: Path):
    put_back(house, older)
    house.opened("invoice-3")
    assert house.refusal(recall(house, "invoice-3", "invoice-2", "invoice-1")) == OLDER_LOG


def test_another_wallets_deeds_say_nothing_of_this_log(house: SignersHouse):
    told = messages.Recall(hot="wpkh(another)", sessions=("invoice-9",), payments=())
    assert house.service.answer(told) == messages.Done()
    house.signed(house.deal.request())


def test_a_payment_that_was_signed_and_is_not_known_is_told(house: SignersHouse):
    assert house.refusal(recall(house, payments=("refund-1",))) == OLDER_LOG
    assert reason_of(OLDER_LOG) == "older-log"


def test_an_accepted_older_log_gives_up_payjoins_under_way(house: SignersHouse, older: Path):
    put_back(house, older, accepts_older=True)
    told = recall(house, "invoice-2", "invoice-1", payments=("refund-1",))
    assert house.service.answer(told) == messages.Done()
    assert "less than the invoice demands" in house.refusal(house.deal.request())
    assert "withdrawn" in house.refusal(messages.Queued(id="refund-1"))
    house.restart()
    assert house.service.answer(told) == messages.Done(), "it is accepted for good"
    house.opened("invoice-3")
    house.signed(house.deal.but(session="invoice-3").request())


def test_what_an_accepted_older_log_has_signed_is_still_told(house: SignersHouse):
    signed = house.signed(house.deal.request())
    house.service = SignerService(house.keys, house.log, house.limits, accepts_older=True)
    assert house.service.answer(recall(house, "invoice-2")) == messages.Done()
    assert house.signed(house.deal.request()) == signed


def test_the_shop_reminds_its_signer_at_each_connection(house: SignersHouse, older: Path):
    with tempfile.TemporaryDirectory() as short:
        place = SignerPlace(path=Path(short) / "signer.sock")
        heard: list[tuple[str, str, str]] = []
        remote = RemoteSigner(place, heard=lambda *told: heard.append(told))
        remote.recall = lambda: (recall(house, "invoice-2", "invoice-1"),)
        with serving(house, place):
            remote.open("invoice-4", demand=AMOUNT)
        put_back(house, older)
        with serving(house, place):
            for _ in range(2):
                with pytest.raises(SignerRefused, match="log is older than the shop's database"):
                    remote.open("invoice-5", demand=AMOUNT)
        remote.close()
    assert heard == [("open", "answered", ""), *[("open", "refused", OLDER_LOG)] * 2]


def test_the_database_knows_which_sessions_and_payments_were_the_signers(tmp_path: Path):
    with Database.open(tmp_path / "shop.db") as database:
        with_session = opened(database)
        database.write(lambda c: c.exec_driver_sql("UPDATE invoices SET session_id = 7").close())
        database.write(lambda c: add_one(c, add_shop(c, name="other")))
        (told,) = recalls(database)
    assert (told.hot, told.sessions, told.payments) == (DESCRIPTOR, (str(with_session),), ())
