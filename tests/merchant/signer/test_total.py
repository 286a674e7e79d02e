"""Whatever comes over the socket, the signer answers, and its answer is of its own types."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.merchant.signer.deals import SignersHouse

from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import messages

INDEXES = st.integers(0, 60)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> SignersHouse:
    return SignersHouse(tmp_path_factory.mktemp("signer")).opened()


def meddled(raw: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with a few of them changed, cut off or added."""
    change = st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255))

    def apply(changes: list[tuple[int, int]], end: int, more: bytes) -> bytes:
        changed = bytearray(raw)
        for at, value in changes:
            changed[at] = value
        return bytes(changed[:end]) + more

    ends = st.sampled_from([len(raw), len(raw), len(raw) - 1, len(raw) // 2, 0])
    return st.builds(apply, st.lists(change, max_size=4), ends, st.binary(max_size=3))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_meddled_request_is_answered_and_signs_nothing_else(
    asked: SignersHouse, data: st.DataObject
):
    deal = asked.deal
    inputs = st.builds(
        messages.OwnInput, coin=st.sampled_from([str(each) for each in deal.own]), index=INDEXES
    )
    outputs = st.builds(
        messages.OwnOutput,
        vout=st.integers(0, 3),
        keychain=st.sampled_from(list(Keychain)),
        index=INDEXES,
    )
    request = deal.request(
        psbt=data.draw(meddled(deal.psbt().serialize())),
        fallback=data.draw(meddled(deal.fallback.serialize())),
        fallback_index=data.draw(st.sampled_from([3, 3, 4])),
        inputs=data.draw(st.lists(inputs, min_size=1, max_size=2).map(tuple)),
        outputs=data.draw(st.lists(outputs, max_size=2).map(tuple)),
    )
    again = messages.requests.decode(messages.encode(request))
    answer = asked.service.answer(again)
    assert isinstance(answer, messages.Refusal | messages.Failure | messages.Signed)
    if isinstance(answer, messages.Signed):
        known = asked.log.signed("session invoice-1")
        assert known is not None
        assert answer.psbt == known[1], "it has one signature, whatever comes after it"


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_meddled_bytes_are_a_request_or_a_decoding_error(asked: SignersHouse, data: st.DataObject):
    raw = data.draw(meddled(messages.encode(asked.deal.request())))
    try:
        request = messages.requests.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert messages.encode(asked.service.answer(request))
