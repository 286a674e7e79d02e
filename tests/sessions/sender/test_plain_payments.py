"""An ordinary payment: no receiver is asked, and its fallback is decided as it begins."""

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import ELSEWHERE

from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.units import Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import InvalidEvent, ReplayError, UsageError
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events

# ordinary payments


def test_an_ordinary_payment_is_decided_as_it_begins(log):
    pending = play.plain(log)
    assert log.replay() == pending
    assert pending.requested
    assert not pending.may_end_unpaid
    assert pending.terms.is_plain
    assert pending.expires_at == play.NOW
    with pytest.raises(UsageError):
        pending.release(spends=())
    watched = pending.record_broadcast(pending.fallback_transaction.txid).save(log)
    assert play.settle(watched, play.fallback()) == outcomes.FallbackBroadcasted(
        txid=str(play.fallback().txid), why=Reason.PLAIN_PAYMENT
    )


def test_an_ordinary_payment_asks_no_receiver(log):
    session = play.plain(log)
    payment = session.terms
    with pytest.raises(InvalidEvent, match="asks no receiver"):
        _ = session.payjoin_uri
    with pytest.raises(InvalidEvent, match="asks no receiver"):
        _ = payment.params
    with pytest.raises(InvalidEvent, match="asks no receiver"):
        _ = payment.reply_key
    with pytest.raises(InvalidEvent, match="asks no receiver"):
        _ = payment.uri


@pytest.mark.parametrize(
    ("amount", "script"), [(50_001, play.PAYEE), (None, ELSEWHERE), (1, ELSEWHERE)]
)
def test_an_ordinary_payment_of_too_little_is_not_begun(amount, script):
    address = Address.from_script(script, Network.REGTEST)
    request = BitcoinUri(address, None if amount is None else Sats(amount))
    with pytest.raises(UsageError, match="less than"):
        sender.create_plain(request=request, original=play.original(), now=play.NOW)


def test_an_ordinary_payment_needs_a_confirmation():
    request = BitcoinUri(play.ADDRESS)
    with pytest.raises(UsageError, match="at least one confirmation"):
        sender.create_plain(request=request, original=play.original(), now=play.NOW, depth=0)


def test_an_ordinary_payment_without_an_address_is_no_log():
    event = events.CreatedPlain(
        uri="bitcoin:?x=1", original=play.original().serialize(), created_at=1
    )
    with pytest.raises(ReplayError, match="no address"):
        sender.replay((event,))
