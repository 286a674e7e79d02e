import json

import pytest

from dovetail.errors import InvalidMessage, UsageError
from dovetail.protocol.error_replies import ErrorCode, ErrorReply


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_reply_is_valid_json_that_reads_back(code: ErrorCode) -> None:
    reply = ErrorReply(code)
    fields = json.loads(reply.serialize())
    assert fields["errorCode"] == code.value
    assert fields["message"].endswith(".")
    assert ("supported" in fields) == (code is ErrorCode.VERSION_UNSUPPORTED)
    assert ErrorReply.parse(reply.serialize()) == reply


def test_the_codes_are_those_of_bip_78() -> None:
    assert {code.value for code in ErrorCode} == {
        "unavailable",
        "not-enough-money",
        "version-unsupported",
        "original-psbt-rejected",
    }


def test_a_reply_about_the_version_names_those_supported() -> None:
    reply = ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (1, 2))
    assert json.loads(reply.serialize())["supported"] == [1, 2]
    assert ErrorReply.parse(reply.serialize()) == reply


# Source: BIP 78, Optional parameters.
def test_the_example_of_bip_78_is_read() -> None:
    example = b"""{
        "errorCode": "version-unsupported",
        "supported" : [ 2, 3, 4 ],
        "message": "The version is not supported anymore"
    }"""
    assert ErrorReply.parse(example) == ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (2, 3, 4))


@pytest.mark.parametrize(
    ("supported", "versions"),
    [
        ("[1,2]", (1, 2)),
        ('"[1,2]"', (1, 2)),
        ('"[]"', ()),
        ('"one"', ()),
        ('"[1.5]"', ()),
        ("null", ()),
        ("{}", ()),
        ('[true, "1", 1.0, 0, -1, 65536, 2, null]', (2,)),
        (str([1] * 100), (1,) * 16),
    ],
)
def test_versions_are_read_from_a_list_or_its_text(
    supported: str, versions: tuple[int, ...]
) -> None:
    text = f'{{"errorCode":"version-unsupported","message":"","supported":{supported}}}'
    assert ErrorReply.parse(text.encode()).supported == versions


def test_versions_beside_another_code_are_ignored() -> None:
    assert ErrorReply.parse(b'{"errorCode":"unavailable","supported":[1]}').supported == ()


@pytest.mark.parametrize("code", ["leaking-data", "random", "", "UNAVAILABLE"])
def test_nothing_is_kept_of_a_code_that_is_not_well_known(code: str) -> None:
    text = json.dumps({"errorCode": code, "message": "Call this number", "supported": [1]})
    assert ErrorReply.parse(text.encode()) == ErrorReply(None)


def test_a_reply_without_a_code_cannot_be_sent() -> None:
    with pytest.raises(UsageError):
        ErrorReply(None).serialize()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"errorCode":null}',
        b'{"errorCode":["unavailable"]}',
        b'{"err":"random","message":"This version of payjoin is not supported."}',
        b'{"errorCode":"unavailable"',
        b'{"errorCode":"unavailable"}}',
        b'{"errorCode":"\xff"}',
        b'{"errorCode":' + b"9" * 5000 + b"}",
        b'{"errorCode":' + b"[" * 7000,
        b'{"errorCode":"unavailable","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_error_reply_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        ErrorReply.parse(data)
