import pytest

from dovetail.errors import ConfigurationError
from dovetail.serving.sockets import bind, url_of


def test_a_free_port_is_taken_and_named():
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of("127.0.0.1", port) == f"http://127.0.0.1:{port}"
        listener.listen()
        with (
            pytest.raises(ConfigurationError, match="cannot be listened on"),
            bind("127.0.0.1", port),
        ):
            pass


def test_an_ipv6_host_stands_in_brackets():
    assert url_of("::1", 8443, scheme="https") == "https://[::1]:8443"


@pytest.mark.parametrize(
    ("host", "port", "words"), [("127.0.0.1", 65_536, "no port"), ("nowhere.invalid", 1, "address")]
)
def test_what_cannot_be_listened_on_is_told(host: str, port: int, words: str):
    with pytest.raises(ConfigurationError, match=words), bind(host, port):
        pass
