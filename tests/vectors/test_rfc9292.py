"""Binary HTTP against the examples of RFC 9292 §5 and RFC 9458, appendix A."""

import pytest

from dovetail.crypto import BhttpRequest, BhttpResponse
from dovetail.errors import InvalidBhttp

# RFC 9292 §5.1, figure 8: known-length encoding of figure 7.
REQUEST_BYTES = bytes.fromhex(
    "00034745 54056874 74707300 0a2f6865 6c6c6f2e 74787440 6c0a7573 65722d61"
    "67656e74 34637572 6c2f372e 31362e33 206c6962 6375726c 2f372e31 362e3320"
    "4f70656e 53534c2f 302e392e 376c207a 6c69622f 312e322e 3304686f 73740f77"
    "77772e65 78616d70 6c652e63 6f6d0f61 63636570 742d6c61 6e677561 67650665"
    "6e2c206d 690000"
)
REQUEST = BhttpRequest(
    "GET",
    "https",
    "",
    "/hello.txt",
    (
        ("user-agent", "curl/7.16.3 libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3"),
        ("host", "www.example.com"),
        ("accept-language", "en, mi"),
    ),
)

# RFC 9292 §5.2, figure 13: known-length encoding of a response with a trailer.
RESPONSE_BYTES = bytes.fromhex(
    "0140c800 1d546869 7320636f 6e74656e 7420636f 6e746169 6e732043 524c462e"
    "0d0a0d07 74726169 6c657204 74657874"
)


def test_the_request_example_both_ways() -> None:
    assert BhttpRequest.parse(REQUEST_BYTES) == REQUEST
    assert REQUEST.serialize() == REQUEST_BYTES


@pytest.mark.parametrize("cut", [1, 2])
def test_the_request_example_truncated_as_the_rfc_says(cut: int) -> None:
    assert BhttpRequest.parse(REQUEST_BYTES[:-cut]) == REQUEST


def test_the_response_example() -> None:
    content = b"This content contains CRLF.\r\n"
    assert BhttpResponse.parse(RESPONSE_BYTES) == BhttpResponse(200, (), content)


@pytest.mark.parametrize("framing", [b"\x02", b"\x03"])
def test_indeterminate_lengths_are_not_read(framing: bytes) -> None:
    with pytest.raises(InvalidBhttp):
        BhttpRequest.parse(framing + REQUEST_BYTES[1:])
    with pytest.raises(InvalidBhttp):
        BhttpResponse.parse(framing + RESPONSE_BYTES[1:])


def test_the_messages_of_rfc_9458_end_after_their_control_data() -> None:
    request = bytes.fromhex("00034745540568747470730b6578616d706c652e636f6d012f")
    assert BhttpRequest.parse(request) == BhttpRequest("GET", "https", "example.com", "/")
    assert BhttpResponse.parse(bytes.fromhex("0140c8")) == BhttpResponse(200)
