import pytest

from dovetail.errors import InvalidUri, TransportError
from dovetail.mailroom.targets import Dialler, Target, is_public, resolve


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/https://payjo.in", "https://payjo.in:443"),
        ("/https://payjo.in/", "https://payjo.in:443"),
        ("/https:/payjo.in", "https://payjo.in:443"),
        ("/HTTPS://PAYJO.IN:8443/", "https://payjo.in:8443"),
        ("/http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("/https://[2606:4700::1111]:1/", "https://[2606:4700::1111]:1"),
        ("/https://a_b-c.example./", "https://a_b-c.example.:443"),
    ],
)
def test_a_path_names_an_origin(path: str, origin: str) -> None:
    assert str(Target.of_path(path)) == origin


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/https://",
        "/https:///",
        "/https:payjo.in",
        "/https:///payjo.in",
        "/https://payjo.in//",
        "/https://payjo.in/path",
        "/https://payjo.in/.well-known/ohttp-gateway",
        "/ftp://payjo.in/",
        "/payjo.in",
        "https://payjo.in/",
        "/https://user@payjo.in/",
        "/https://payjo.in:0/",
        "/https://payjo.in:65536/",
        "/https://payjo.in:/",
        "/https://-payjo.in/",
        "/https://pay%6ao.in/",
        "/https://payjo.in/\n",
        "/https://pay\u00f8.in/",
        "/https://" + "a" * 300,
        "/https://" + "-" * 100_000 + "!",
    ],
)
def test_any_other_path_does_not(path: str) -> None:
    with pytest.raises(InvalidUri, match="origin"):
        Target.of_path(path)


def test_connect_names_an_https_origin() -> None:
    assert Target.of_authority("Payjo.in:443") == Target("https", "payjo.in", 443)
    assert Target.of_authority("[::1]:8443").bare_host == "::1"
    with pytest.raises(InvalidUri):
        Target.of_authority("payjo.in:443/path")


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104  # not bound to
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:7f00:0001::",
        "2001:db8::1",
        "no address",
        "",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


async def test_one_private_address_is_enough_to_refuse_a_host() -> None:
    async def find(_host: str, _port: int) -> list[str]:
        return ["1.1.1.1", "10.0.0.1"]

    with pytest.raises(TransportError, match="no public address"):
        await Dialler(local=False, find=find).address("rebinding.test", 443)
    assert await Dialler(local=True, find=find).address("rebinding.test", 443) == "1.1.1.1"


async def test_a_host_with_no_address_is_refused_even_locally() -> None:
    async def nothing(_host: str, _port: int) -> list[str]:
        return []

    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(TransportError, match="no public address"):
        await Dialler(local=True, find=nothing).address("empty.test", 443)
    with pytest.raises(TransportError, match="not known"):
        await Dialler(local=True, find=unknown).address("unknown.test", 443)


async def test_hosts_are_resolved_by_the_system() -> None:
    assert await resolve("127.0.0.1", 443) == ["127.0.0.1"]
    with pytest.raises(OSError, match="no domain name"):
        await resolve("a" * 64 + ".test", 443)
    with pytest.raises(TransportError, match="no public address"):
        await Dialler(local=False).address("localhost", 443)
