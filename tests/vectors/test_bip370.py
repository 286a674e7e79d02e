"""BIP 370, Test Vectors."""

import json
from pathlib import Path

import pytest

from dovetail.bitcoin.psbt import Psbt, PsbtV2, read_psbt
from dovetail.errors import InvalidPsbt

VECTORS = json.loads((Path(__file__).parent / "bip370.json").read_text(encoding="utf-8"))


def named(cases):
    return {"argvalues": cases, "ids": [each[-2] for each in cases]}


@pytest.mark.parametrize(("name", "text"), **named(VECTORS["invalid"]))
def test_invalid(name, text):
    for read in (PsbtV2.from_base64, Psbt.from_base64, read_psbt):
        with pytest.raises(InvalidPsbt):
            read(text)


@pytest.mark.parametrize(("name", "text"), **named(VECTORS["valid"]))
def test_valid(name, text):
    psbt = PsbtV2.from_base64(text)
    assert psbt.to_base64() == text
    back = Psbt.parse(psbt.version_0.serialize())
    assert psbt.with_version_0(back) == psbt
    assert PsbtV2.of(back).version_0 == back
    assert read_psbt(text) == back


@pytest.mark.parametrize(("lock_time", "name", "text"), **named(VECTORS["lock_times"]))
def test_lock_times(lock_time, name, text):
    assert PsbtV2.from_base64(text).lock_time == lock_time


@pytest.mark.parametrize(("name", "text"), **named(VECTORS["no_lock_time"]))
def test_a_lock_time_that_cannot_be(name, text):
    with pytest.raises(InvalidPsbt, match="locked by height and another by time"):
        PsbtV2.from_base64(text)
