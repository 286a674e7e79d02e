"""Each limit has its sentence in a guide: what it is, its default, what is seen of it."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dovetail.bip78 import V1ServerSettings
from dovetail.mailroom import MailroomSettings

ROOT = Path(__file__).parents[2]
MAILROOM = (ROOT / "docs/guides/mailroom.md").read_text(encoding="utf-8")
BIP78 = (ROOT / "docs/guides/bip78.md").read_text(encoding="utf-8")
FLAGS = {"data_dir", "directory", "relay", "local", "v1", "ca_file"}
"""What `mailroom serve` is told by options, which the generated reference explains."""
IN_PROSE = {
    *("proxies", "client_header", "housekeeping"),
    *("metrics", "json_log", "heartbeat", "drain_delay", "blocklists", "public_url"),
    *("contact", "policy", "tls_cert", "tls_key"),
    "proxy_protocol",
}

CONSTANTS = {
    "dovetail.serving.asgi.MAX_DISCARDED": "1 MiB",
    "dovetail.serving.request_body._FREE_CHUNKS": "beyond 256 chunks",
    "dovetail.serving.request_body._LEAST_CHUNK": "32 bytes in each on average",
    "dovetail.serving.request_body._LINE_LIMIT": "256 bytes in a line of that framing",
    "dovetail.serving.connection.AHEAD_LIMIT": "16 KiB; they wait unread",
    "dovetail.serving.connection_limits.BODY_LIMIT": "1 MiB anywhere",
    "dovetail.serving.connection_limits.KEEP_ALIVE": "60 s (`keep_alive`)",
    "dovetail.serving.connection_limits.STREAM_LIMIT": "1 MiB of frames",
    "dovetail.serving.proxy_protocol.HEADER_LIMIT": "A header has at most 2,048 bytes",
    "dovetail.serving.request_head.FIELD_LIMIT": "100 fields",
    "dovetail.serving.request_head.HEAD_LIMIT": "16 KiB, 100 fields",
    "dovetail.serving.logs.ALIKE": "five are written in a minute",
    "dovetail.serving.logs.ALIKE_SECONDS": "five are written in a minute",
    "dovetail.serving.logs.LINES_WAITING": "1,000 lines wait",
    "dovetail.serving.logs.LONGEST_LINE": "4,000 bytes",
    "dovetail.mailroom.gateway.KEYS_GOOD_FOR": "caches may keep it for a day",
    "dovetail.mailroom.client_hello.HELLO_LIMIT": "a ClientHello of at most 16 KiB",
    "dovetail.mailroom.resolver.DEADLINE": "3 s for all name servers together",
    "dovetail.mailroom.gateway_prober._KNOWN": "1,000 gateways are remembered",
    "dovetail.mailroom.relay.RESPONSE_LIMIT": "64 KiB",
    "dovetail.mailroom.relay._CONNECT_TIMEOUT": "10 s for its first four addresses",
    "dovetail.mailroom.relay._PROBE_TIMEOUT": "10 s to say whether it opted in",
    "dovetail.mailroom.relay._RETRY_DIGITS": "up to four digits",
    "dovetail.mailroom.server._WEBSOCKET_MESSAGE": "64 KiB in a message",
    "dovetail.mailroom.disk_quota._LEAST_BURST": "at least 128 at once",
    "dovetail.mailroom.disk_quota._SHARE": "an eighth of that",
    "dovetail.mailroom.gateway_uri._TRIED": "first four addresses",
    "dovetail.mailroom.bootstrap.TUNNEL_LIMIT": "256 KiB each way",
    "dovetail.mailroom.bootstrap._CONNECT_TIMEOUT": "10 s for its first four addresses",
    "dovetail.mailroom.v1.BODY_LIMIT": "8,100 bytes with its query",
}
"""What limits a client and cannot be set, and the words that tell of it."""
_A_LIMIT = re.compile(
    r"_?[A-Z_]*(LIMIT|TIMEOUT|DEADLINE|LEAST_CHUNK|FREE_CHUNKS|ALIKE|ALIKE_SECONDS|LINES_WAITING"
    r"|LONGEST_LINE|KEEP_ALIVE|KNOWN|TRIED|SHARE|LEAST_BURST|WEBSOCKET_MESSAGE|GOOD_FOR|DIGITS"
    r"|MAX_DISCARDED)"
)
_NOT_THE_CLIENTS = {
    "dovetail.serving.connection._UNREAD_LIMIT",  # of a body that is read anyway
    "dovetail.mailroom.keys.KEYS_GOOD_FOR",
}


def flat(guide: str) -> str:
    """Its words, whatever line they stand in."""
    return " ".join(guide.split())


def rows(guide: str, word: str) -> list[list[str]]:
    lines = [line for line in guide.splitlines() if line.startswith("| ") and word in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def told(default: Any) -> tuple[str, ...]:
    """How a guide may write a default."""
    if isinstance(default, float):
        units = {"s": 1, "minutes": 60, "days": 86_400}
        return tuple(f"{default / each:g} {unit}" for unit, each in units.items())
    return (f"{default[0]:d}",) if isinstance(default, tuple) else (f"{default:,}",)


def settings() -> Iterator[Any]:
    for guide, kind in ((MAILROOM, MailroomSettings), (BIP78, V1ServerSettings)):
        for field in fields(kind):
            if field.name not in FLAGS:
                yield pytest.param(guide, field, id=f"{kind.__name__}.{field.name}")


@pytest.mark.parametrize(("guide", "field"), list(settings()))
def test_a_setting_has_a_row_with_its_default_and_what_is_seen_of_it(guide: str, field: Any):
    if field.name in IN_PROSE:
        assert f"`{field.name}`" in guide or f".{field.name}`" in guide
        return
    found = rows(guide, f"(`{field.name}`)")
    assert found, f"the guide has no row for {field.name}"
    for cells in found:
        assert all(cells)
        assert len(cells) in (3, 4)
    if field.default is not None:
        assert any(each in " ".join(found[0]) for each in told(field.default))


def modules(*packages: str) -> Iterator[str]:
    for package in packages:
        for path in sorted((ROOT / "src/dovetail" / package).glob("*.py")):
            yield f"dovetail.{package}.{path.stem}"


def test_a_limit_that_cannot_be_set_is_told_too():
    found: set[str] = set()
    for name in modules("serving", "mailroom"):
        module = importlib.import_module(name)
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for line in tree.body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                constant = line.targets[0].id
                value = getattr(module, constant)
                if _A_LIMIT.fullmatch(constant) and isinstance(value, int | float):
                    found.add(f"{name}.{constant}")
    assert found - _NOT_THE_CLIENTS == set(CONSTANTS)
    missing = {name: words for name, words in CONSTANTS.items() if words not in flat(MAILROOM)}
    assert not missing


def calls(*packages: str) -> Iterator[tuple[str, str]]:
    """The names of methods called with a text, and that text."""
    for name in modules(*packages):
        path = ROOT / "src" / Path(*name.split(".")).with_suffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=method), args=[ast.Constant(value=str(text)), *_]
                ):
                    yield method, text
                case _:
                    pass


def test_what_the_log_says_of_a_refusal_is_told():
    said = {f'"for {text}"' for method, text in calls("mailroom") if method == "overloaded"}
    assert len(said) >= 6
    assert said == set(re.findall(r'"for [^"]+"', flat(MAILROOM)))


@pytest.mark.parametrize(
    ("guide", "packages"), [(MAILROOM, ("serving", "mailroom")), (BIP78, ("bip78",))]
)
def test_each_line_of_the_log_is_told(guide: str, packages: tuple[str, ...]):
    lines = [text for method, text in calls(*packages) if method in ("warning", "error")]
    assert lines
    untold = [line for line in lines if re.split(r"[%:.]", line)[0].strip() not in flat(guide)]
    assert not untold
