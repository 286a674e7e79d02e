from pathlib import Path

import pytest

import dovetail.mailroom
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomSettings


@pytest.mark.parametrize(
    "wrong", [{"ttl": 0}, {"max_bytes": -1}, {"wait": float("nan")}, {"max_waits": 0}]
)
def test_a_limit_must_be_positive_and_the_error_names_it(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        MailroomSettings(Path(), **wrong)  # type: ignore[arg-type]


def test_a_mailroom_serves_something() -> None:
    with pytest.raises(ConfigurationError, match="directory, a relay or both"):
        MailroomSettings(Path(), directory=False, relay=False)


def test_private_use_and_v1_are_off_by_default() -> None:
    settings = MailroomSettings(Path("data"))
    assert (settings.local, settings.v1) == (False, False)
    assert settings.honoured == settings.ttl + settings.longest_session
    assert settings.forward_timeout >= 40


def test_the_package_has_what_it_says() -> None:
    for name in dovetail.mailroom.__all__:
        assert getattr(dovetail.mailroom, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = dovetail.mailroom.nothing  # type: ignore[attr-defined]


def test_introductions_and_tls_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="TLS ends at the proxy"):
        MailroomSettings(Path(), proxy_protocol=True, tls_cert=Path("a"), tls_key=Path("b"))
