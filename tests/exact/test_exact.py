from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.exact.payjoins import (
    FLOORS,
    HIGHEST,
    RATES,
    Case,
    Made,
    Offer,
    Payee,
    cases,
    least_cases,
    make,
)
from tests.exact.table import Failed, report, tried
from tests.exact.wallets import HABITS, KINDS

from dovetail.bitcoin.script import ScriptType
from dovetail.bitcoin.units import FeeRate, Sats


@pytest.fixture(scope="module")
def made() -> list[Made]:
    """A part of what `make exact` makes: twelve rates for each pair."""
    return tried(cases(RATES[::18], each=1))


def test_make_exact_covers_all_pairs_and_choices():
    whole = list(cases())
    assert len(whole) >= 5_000
    assert len({case.rate for case in whole}) >= 200
    assert any(case.rate.sat_per_kwu % 250 for case in whole)
    for pair in {(case.sender, case.receiver) for case in whole}:
        mine = [case for case in whole if (case.sender, case.receiver) == pair]
        assert {(case.senders, case.receivers) for case in mine} == {
            (senders, receivers) for senders in (1, 2, 3) for receivers in (1, 2, 3)
        }
        assert {(case.offer, case.payee) for case in mine} == {
            (offer, payee) for offer in Offer if offer is not Offer.PEERS for payee in Payee
        }
    assert len({(case.sender, case.receiver) for case in whole}) == len(KINDS) ** 2 == 16


def test_nobody_is_short_and_the_chosen_rate_is_kept(
    made: list[Made], capsys: pytest.CaptureFixture[str]
):
    assert report(made) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{len(made)} payjoins, 0 short, 0 below the chosen rate"


def test_a_covered_receiver_gets_all_it_asked_for(made: list[Made]):
    covered = [each for each in made if each.covered]
    assert len(covered) > 20
    assert {each.shortfall for each in covered} == {0}


def test_a_contribution_is_never_more_than_offered(made: list[Made]):
    for each in made:
        if each.case.offer is not Offer.CHANGE:
            assert each.shares.more_from_sender == 0


@pytest.mark.parametrize("kind", KINDS)
def test_two_default_wallets_at_5_sat_per_vbyte_are_exact(kind: ScriptType):
    # 1 sat was missing in every payjoin between two P2WPKH wallets at this rate.
    rate = FeeRate.from_sat_per_vb(5)
    found = make(Case(kind, kind, rate, 1, 1, Offer.CHANGE, Payee.KEPT, 2, HABITS[0]))
    assert (found.shortfall, found.exact) == (0, True)


def test_a_legacy_sender_at_the_least_rate_pays_a_taproot_receiver_in_full():
    # Of 50,000 asked for 49,999 came: marker and flag made it 58.25 vbytes more, of which
    # rust-payjoin's sender pays for 58.
    [case] = (
        case
        for case in least_cases(FLOORS[:1])
        if (case.sender, case.receiver) == (ScriptType.P2PKH, ScriptType.P2TR)
        and (case.senders, case.receivers, case.version, case.habit) == (1, 1, 2, HABITS[0])
    )
    found = make(case)
    assert (found.shortfall, found.covered) == (0, True)
    older = make(replace(case, floor=FLOORS[1]))
    assert (older.shortfall, older.covered) == (1, False)
    assert older.fee == older.payjoin.weight.vbytes


def test_nobody_is_short_at_the_least_rate():
    some = tried(case for case in least_cases() if case.habit is HABITS[0] and case.version == 2)
    offered = [each for each in some if each.offered]
    assert len(offered) > 70
    for each in offered:
        most = 0 if each.case.floor == FLOORS[0] else 2
        assert 0 <= each.shortfall <= most
    assert report(some) == 0


def changed(made: Sequence[Made], **values: object) -> list[Made]:
    first = next(each for each in made if each.covered)
    return [replace(first, **values), *made]  # type: ignore[arg-type]  # by name


def test_the_table_fails_where_somebody_is_short(made: list[Made]):
    assert report(changed(made, shortfall=1)) == 1
    assert report(changed(made, fee=made[0].payjoin.weight // 8)) == 1
    untold = next(each for each in made if each.shortfall > 1)
    quiet = replace(untold, shares=replace(untold.shares, from_receiver=Sats(0)))
    assert report([quiet, *made]) == 1


def test_a_payjoin_that_cannot_be_made_is_named():
    dear = Case(*KINDS[:2], HIGHEST, 1, 1, Offer.NOTHING, Payee.KEPT, 2, HABITS[0])
    tried([dear])
    with pytest.raises(Failed, match="P2PKH"):
        tried([replace(dear, rate=FeeRate.from_sat_per_vb(90_000))])
