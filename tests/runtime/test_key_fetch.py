import pytest
from tests.support.wire import Wire

from dovetail import fetch_ohttp_keys
from dovetail.errors import ConfigurationError, InvalidUri, TransportError
from dovetail.mailroom import MailroomServer

A = "https://a.example"


async def test_a_mailrooms_keys_are_fetched_by_one_call():
    with MailroomServer() as mailroom:
        config = await fetch_ohttp_keys(mailroom.url, direct=True)
        assert await fetch_ohttp_keys(f"{mailroom.url}/", direct=True) == config


async def test_a_relays_tunnel_hides_who_asks():
    wire = Wire()
    config = await fetch_ohttp_keys("https://directory.example/", relays=[A], transport=wire)
    assert config == wire.directory.config
    assert wire.gets == [("https://directory.example/.well-known/ohttp-gateway", A)]


async def test_without_a_relay_or_a_word_nobody_is_asked():
    wire = Wire()
    with pytest.raises(ConfigurationError):
        await fetch_ohttp_keys("https://directory.example", transport=wire)
    assert not wire.gets


async def test_what_is_no_directory_is_refused_before_anybody_is_asked():
    wire = Wire()
    with pytest.raises(InvalidUri):
        await fetch_ohttp_keys("https://directory.example/keys", relays=[A], transport=wire)
    assert not wire.gets


async def test_a_directory_that_is_away_is_told():
    with pytest.raises(TransportError):
        await fetch_ohttp_keys("http://127.0.0.1:9", direct=True)
