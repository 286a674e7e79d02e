import asyncio

import pytest
from tests.mailroom.fake_gateway import PURPOSE, PURPOSES_BY_COUNT, PURPOSES_BY_LENGTH
from tests.support.clock import Clock

from dovetail.errors import TransportError
from dovetail.mailroom.gateway_prober import Gateways, OptIn, Probe, judge, parse_purposes
from dovetail.mailroom.gateway_uri import Target

TARGET = Target("https", "gateway.test", 443)
KIND = "application/x-ohttp-allowed-purposes"
YES = Probe(200, KIND, PURPOSES_BY_COUNT)
NO = Probe(404, "text/html", b"")


@pytest.mark.parametrize(
    "data",
    [
        PURPOSES_BY_COUNT,
        PURPOSES_BY_LENGTH,
        b"\x00\x02\x01x\x2a" + PURPOSE,
        b"\x00\x2d\x2a" + PURPOSE + b"\x01x",
    ],
)
def test_the_u16_may_be_a_count_or_a_length(data: bytes) -> None:
    assert PURPOSE in parse_purposes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x01",
        PURPOSE,
        PURPOSES_BY_COUNT[:-1],
        PURPOSES_BY_COUNT + b"x",
        b"\x00\x02" + PURPOSES_BY_COUNT[2:],
        b"\xff" * 65_536,
    ],
)
def test_a_list_of_another_length_is_none(data: bytes) -> None:
    assert parse_purposes(data) == ()


@pytest.mark.parametrize(
    ("probe", "verdict"),
    [
        (YES, OptIn.YES),
        (Probe(200, KIND, PURPOSES_BY_LENGTH), OptIn.YES),
        (Probe(200, KIND, b"\x00\x01\x01x"), OptIn.NO),
        (Probe(200, "application/ohttp-keys", PURPOSES_BY_COUNT), OptIn.NO),
        (Probe(301, KIND, PURPOSES_BY_COUNT), OptIn.NO),
        (NO, OptIn.NO),
        (Probe(503, KIND, PURPOSES_BY_COUNT), OptIn.UNREACHABLE),
    ],
)
def test_only_an_explicit_opt_in_counts(probe: Probe, verdict: OptIn) -> None:
    assert judge(probe) is verdict


async def test_a_verdict_is_remembered_and_an_error_soon_forgotten() -> None:
    clock = Clock()
    answers: list[Probe | None] = [None, NO, YES]
    asked: list[Target] = []

    async def ask(target: Target) -> Probe:
        asked.append(target)
        answer = answers[len(asked) - 1]
        if answer is None:
            raise TransportError("out of reach")
        return answer

    gateways = Gateways(ask, clock=clock)
    for verdict, seconds in ((OptIn.UNREACHABLE, 5), (OptIn.NO, 600), (OptIn.YES, 86_400)):
        assert await gateways.opted_in(TARGET) is verdict
        clock.now += seconds - 1
        assert await gateways.opted_in(TARGET) is verdict
        clock.now += 1
    assert asked == [TARGET] * 3


async def test_those_who_ask_at_once_share_one_request() -> None:
    asked: list[Target] = []

    async def ask(target: Target) -> Probe:
        asked.append(target)
        await asyncio.sleep(0)
        return YES

    gateways = Gateways(ask, clock=Clock())
    verdicts = await asyncio.gather(*(gateways.opted_in(TARGET) for _ in range(5)))
    assert set(verdicts) == {OptIn.YES}
    assert len(asked) == 1


async def test_only_so_many_gateways_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(target: Target) -> Probe:
        asked.append(target.host)
        return YES

    monkeypatch.setattr("dovetail.mailroom.gateway_prober._KNOWN", 2)
    gateways = Gateways(ask, clock=Clock())
    for host in ("a", "b", "c", "c", "a"):
        await gateways.opted_in(Target("https", host, 443))
    assert asked == ["a", "b", "c", "a"]


async def test_closing_gives_up_what_is_being_asked() -> None:
    async def ask(_target: Target) -> Probe:
        await asyncio.sleep(60)
        return YES

    gateways = Gateways(ask, clock=Clock())
    waiting = asyncio.create_task(gateways.opted_in(TARGET))
    await asyncio.sleep(0)
    await gateways.aclose()
    assert await waiting is OptIn.UNREACHABLE


async def test_a_gateway_that_is_asked_no_longer_is_out_of_reach_and_asked_anew() -> None:
    asked = asyncio.Event()

    async def ask(_target: Target) -> Probe:
        if not asked.is_set():
            asked.set()
            await asyncio.Event().wait()
        return YES

    gateways = Gateways(ask, clock=Clock())
    gateways.give_up(TARGET)  # nobody asks
    waiting = asyncio.create_task(gateways.opted_in(TARGET))
    await asked.wait()
    gateways.give_up(TARGET)
    assert await waiting is OptIn.UNREACHABLE
    assert await gateways.opted_in(TARGET) is OptIn.YES
