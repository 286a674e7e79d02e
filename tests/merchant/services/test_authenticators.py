"""Answers of devices: right ones, and what attackers make of them."""

import json
from typing import Any
from uuid import UUID

import pytest
from tests.support.authenticator import PRESENT, Authenticator, decoded, encoded

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import passkeys
from dovetail.merchant.data.passkeys import PasskeyRow
from dovetail.merchant.data.users import UserRow
from dovetail.merchant.messages import Role
from dovetail.merchant.services import authenticators
from dovetail.merchant.services.authenticators import AnswerRefused, NewKey, Party

PARTY = Party("https://shop.example", "shop.example")
CHALLENGE = bytes(range(32))
ADA = UserRow(
    id=UUID(int=7),
    name="Ada",
    password="",
    role=Role.OWNER,
    created_at=UnixTime(0),
    disabled_at=None,
)


def added(device: Authenticator) -> NewKey:
    options = authenticators.options_to_add(PARTY, ADA, CHALLENGE, ())
    read = authenticators.read_new(device.make(options))
    return authenticators.verify_new(read, PARTY, authenticators.challenge_of(read))


def row_of(made: NewKey) -> PasskeyRow:
    return passkeys.new_passkey(
        user_id=ADA.id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        name="Phone",
        now=0,
    )


def verified(row: PasskeyRow, answer: str) -> int:
    read = authenticators.read_signed(answer)
    assert authenticators.challenge_of(read) == CHALLENGE
    return authenticators.verify_signed(read, PARTY, CHALLENGE, row)


@pytest.fixture
def device() -> Authenticator:
    return Authenticator()


@pytest.fixture
def row(device) -> PasskeyRow:
    return row_of(added(device))


OPTIONS = authenticators.options_to_sign_in(PARTY, CHALLENGE)


def test_the_options_of_a_new_passkey_ask_for_one_that_is_enough_alone(device, row) -> None:
    asked = json.loads(authenticators.options_to_add(PARTY, ADA, CHALLENGE, [row]))
    assert asked["rp"] == {"name": "Dovetail", "id": "shop.example"}
    assert (asked["user"]["name"], decoded(asked["user"]["id"])) == ("Ada", ADA.id.bytes)
    assert decoded(asked["challenge"]) == CHALLENGE
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["attestation"] == "none"
    assert {each["alg"] for each in asked["pubKeyCredParams"]} == {-7, -8, -257}
    assert [decoded(each["id"]) for each in asked["excludeCredentials"]] == [device.credential_id]


def test_the_options_of_a_sign_in_name_nobody() -> None:
    asked = json.loads(OPTIONS)
    assert (asked["rpId"], asked["userVerification"]) == ("shop.example", "required")
    assert not asked.get("allowCredentials")


def test_a_right_answer_gives_the_key_and_then_the_count(device, row) -> None:
    assert (row.credential_id, row.public_key) == (device.credential_id, device.public_key)
    assert verified(row, device.sign(OPTIONS)) == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://shop.example"},
        {"origin": "https://shop.example.evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
    ],
)
def test_what_was_made_or_signed_elsewhere_or_for_nobody_is_refused(
    device, row, lie: dict[str, Any]
) -> None:
    for name, value in lie.items():
        setattr(device, name, value)
    with pytest.raises(AnswerRefused):
        verified(row, device.sign(OPTIONS))
    with pytest.raises(AnswerRefused):
        added(Authenticator(**lie))


def test_a_page_inside_of_another_sites_page_is_refused(device) -> None:
    device.cross_origin = True
    with pytest.raises(AnswerRefused, match="another site"):
        authenticators.challenge_of(authenticators.read_signed(device.sign(OPTIONS)))


def test_an_answer_to_another_challenge_is_refused(device, row) -> None:
    read = authenticators.read_signed(device.sign(OPTIONS))
    with pytest.raises(AnswerRefused):
        authenticators.verify_signed(read, PARTY, bytes(32), row)


def test_an_answer_of_one_kind_is_none_of_the_other(device, row) -> None:
    made = device.make(authenticators.options_to_add(PARTY, ADA, CHALLENGE, ()))
    with pytest.raises(AnswerRefused):
        verified(row, made)
    with pytest.raises(AnswerRefused):
        authenticators.read_new(device.sign(OPTIONS))


def test_a_signature_of_another_key_is_refused(device, row) -> None:
    with pytest.raises(AnswerRefused):
        verified(row, Authenticator(credential_id=device.credential_id).sign(OPTIONS))


@pytest.mark.parametrize(("count", "fits"), [(4, False), (5, False), (6, True)])
def test_a_count_that_has_not_risen_is_refused(device, count: int, *, fits: bool) -> None:
    """A copy of a passkey counts by itself, and so tells that there are two."""
    row = row_of(NewKey(credential_id=b"1", public_key=device.public_key, sign_count=5))
    device.count = count - 1
    if fits:
        assert verified(row, device.sign(OPTIONS)) == count
        return
    with pytest.raises(AnswerRefused):
        verified(row, device.sign(OPTIONS))


def test_a_device_that_does_not_count_is_taken(device, row) -> None:
    device.step = 0
    assert verified(row, device.sign(OPTIONS)) == 0
    assert verified(row, device.sign(OPTIONS)) == 0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{}",
        '"x"',
        "{",
        '{"id": 1, "rawId": 2, "response": {}}',
        "\ud800",
        "1" * 99,
    ],
)
def test_what_is_no_answer_is_refused(answer: str) -> None:
    for read in (authenticators.read_new, authenticators.read_signed):
        with pytest.raises(AnswerRefused):
            read(answer)


def test_an_answer_that_is_cut_or_changed_anywhere_is_refused(device, row) -> None:
    """No byte of what the device has signed may be another one, and no reader fails otherwise."""
    told = json.loads(device.sign(OPTIONS))
    for part in ("authenticatorData", "signature", "clientDataJSON"):
        whole = decoded(told["response"][part])
        for at in range(len(whole)):
            flipped = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
            for changed in (whole[:at], flipped):
                response = told["response"] | {part: encoded(changed)}
                with pytest.raises(AnswerRefused):
                    _whole(row, json.dumps(told | {"response": response}))


def _whole(row: PasskeyRow, answer: str) -> None:
    read = authenticators.read_signed(answer)
    authenticators.challenge_of(read)
    authenticators.verify_signed(read, PARTY, CHALLENGE, row)


def test_a_new_passkey_that_is_cut_anywhere_is_refused(device) -> None:
    told = json.loads(device.make(authenticators.options_to_add(PARTY, ADA, CHALLENGE, ())))
    whole = decoded(told["response"]["attestationObject"])
    for at in range(len(whole)):
        response = told["response"] | {"attestationObject": encoded(whole[:at])}
        with pytest.raises(AnswerRefused):
            _whole_new(json.dumps(told | {"response": response}))


def _whole_new(answer: str) -> None:
    authenticators.verify_new(authenticators.read_new(answer), PARTY, CHALLENGE)


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://pay.example", "pay.example"),
        ("https://pay.example:8443", "pay.example"),
        ("http://localhost:8090", "localhost"),
        ("http://127.0.0.1:8090", None),
        ("http://[::1]:8090", None),
        ("https://", None),
    ],
)
def test_an_address_of_digits_is_no_site_for_passkeys(origin: str, name: str | None) -> None:
    found = Party.of(origin)
    assert (None if found is None else found.name) == name
    assert found is None or found.origin == origin
