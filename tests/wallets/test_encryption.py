import msgspec
import pytest

from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import UsageError, WrongPassphrase
from dovetail.wallets import encryption
from dovetail.wallets.encryption import Cost, Scrypt, Sealed, decrypt, encrypt

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    monkeypatch.setattr(encryption, "COST", Cost(n=2**10))


def test_a_new_key_costs_what_is_advised():
    # OWASP Password Storage Cheat Sheet: scrypt with N=2^17, r=8, p=1
    assert Cost() == Cost(n=131_072, r=8, p=1)


def test_the_key_is_that_of_rfc_7914():
    # RFC 7914, section 12, the third vector, cut to 32 bytes; its salt is shorter than ours may be
    made = msgspec.structs.replace(
        Scrypt(n=16_384, r=8, p=1, salt=bytes(16)), salt=b"SodiumChloride"
    )
    assert made.key("pleaseletmein") == bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    )


def test_what_was_sealed_is_opened_by_the_passphrase():
    box = encrypt(b"words", PASSPHRASE, b"bound")
    assert b"words" not in box.data
    assert decrypt(box, PASSPHRASE, b"bound") == b"words"
    again = msgspec.json.decode(msgspec.json.encode(box), type=Sealed)
    assert decrypt(again, PASSPHRASE, b"bound") == b"words"


def test_it_is_the_same_passphrase_however_its_accents_are_typed():
    box = encrypt(b"words", "caf\N{LATIN SMALL LETTER E WITH ACUTE} noir", b"")
    assert decrypt(box, "cafe\N{COMBINING ACUTE ACCENT} noir", b"") == b"words"


def test_salt_and_nonce_are_new_each_time():
    first, second = (encrypt(b"words", PASSPHRASE, b"") for _ in range(2))
    assert first.kdf.salt != second.kdf.salt
    assert first.nonce != second.nonce
    assert first.data != second.data


def test_randomness_comes_from_where_it_is_said():
    boxes = [encrypt(b"words", PASSPHRASE, b"", entropy=SeededEntropy(b"seed")) for _ in range(2)]
    assert boxes[0] == boxes[1]


@pytest.mark.parametrize(
    "wrong", ["correct horse battery stapl", "", PASSPHRASE + " ", "x" * 2000, "\udcff" * 9]
)
def test_another_passphrase_opens_nothing(wrong):
    box = encrypt(b"words", PASSPHRASE, b"bound")
    with pytest.raises(WrongPassphrase, match="passphrase is wrong") as caught:
        decrypt(box, wrong, b"bound")
    assert caught.value.__cause__ is None


def test_what_was_changed_is_not_opened():
    box = encrypt(b"words", PASSPHRASE, b"bound")
    changed = [
        (msgspec.structs.replace(box, data=bytes([box.data[0] ^ 1]) + box.data[1:]), b"bound"),
        (msgspec.structs.replace(box, data=b""), b"bound"),
        (msgspec.structs.replace(box, nonce=bytes(12)), b"bound"),
        (msgspec.structs.replace(box, kdf=Scrypt(n=2**10, r=8, p=1, salt=bytes(16))), b"bound"),
        (box, b"bounds"),
    ]
    for each, bound in changed:
        with pytest.raises(WrongPassphrase):
            decrypt(each, PASSPHRASE, bound)


@pytest.mark.parametrize("wrong", ["", "1234567", "x" * 1025, "\udcff" * 9])
def test_a_passphrase_that_will_not_do_is_refused(wrong):
    with pytest.raises(UsageError, match="passphrase"):
        encrypt(b"words", wrong, b"")


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 3},
        {"n": 1},
        {"n": 2**24},
        {"n": 2**23, "r": 2},
        {"r": 0},
        {"r": 33},
        {"p": 17},
        {"salt": "c2hvcnQ="},
        {"type": "pbkdf2"},
        {"more": 1},
    ],
)
def test_a_file_asks_for_no_key_that_is_not_to_be_made(wrong):
    said = {"type": "scrypt", "n": 2**17, "r": 8, "p": 1, "salt": "c2l4dGVlbiBieXRlcyEhIQ=="}
    assert msgspec.json.decode(msgspec.json.encode(said), type=Scrypt).n == 2**17
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(said | wrong), type=Scrypt)


def test_a_box_shows_nothing_of_itself():
    assert repr(encrypt(b"words", PASSPHRASE, b"")) == "<Sealed>"
