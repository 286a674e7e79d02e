from collections import Counter

import pytest

from dovetail.crypto import SeededEntropy, below, shuffled, system


def test_the_system_gives_as_many_bytes_as_asked_and_never_the_same() -> None:
    assert len(system(32)) == 32
    assert system(0) == b""
    assert system(32) != system(32)


def test_equal_seeds_replay_equal_draws() -> None:
    first, second = SeededEntropy(b"seed"), SeededEntropy(b"seed")
    assert [first(size) for size in (32, 0, 7)] == [second(size) for size in (32, 0, 7)]


def test_draws_of_one_seed_differ_from_each_other_and_from_another_seed() -> None:
    entropy = SeededEntropy(b"seed")
    draws = {entropy(32), entropy(32), SeededEntropy(b"other")(32)}
    assert len(draws) == 3


def test_a_seeded_draw_is_shake_256_of_its_number_and_the_seed() -> None:
    # FIPS 202 for eight zero bytes, computed with OpenSSL.
    assert SeededEntropy(b"")(8).hex() == "119141dce8980709"


@pytest.mark.parametrize("bound", [1, 2, 255, 256, 257, 2**64 + 1])
def test_a_draw_below_a_bound_stays_below_it(bound: int) -> None:
    entropy = SeededEntropy(b"bound")
    assert all(0 <= below(entropy, bound) < bound for _ in range(200))


@pytest.mark.parametrize(("bound", "size"), [(1, 17), (255, 17), (256, 18), (2**64, 25)])
def test_sixteen_surplus_bytes_hide_the_bias(bound: int, size: int) -> None:
    sizes: list[int] = []

    def record(size: int, /) -> bytes:
        sizes.append(size)
        return bytes(size)

    below(record, bound)
    assert sizes == [size]


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_draw_below_a_bound_ends_even_with_a_broken_source(byte: int) -> None:
    assert 0 <= below(lambda size: bytes([byte]) * size, 3) < 3


def test_every_number_below_a_bound_is_about_as_likely() -> None:
    entropy = SeededEntropy(b"uniform")
    counts = Counter(below(entropy, 6) for _ in range(6_000))
    assert set(counts) == set(range(6))
    assert all(850 < count < 1150 for count in counts.values())


def test_shuffling_keeps_every_item_and_reaches_every_order() -> None:
    entropy = SeededEntropy(b"shuffle")
    orders = {shuffled(entropy, "abc") for _ in range(200)}
    assert len(orders) == 6
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_shuffling_nothing_or_one_item_draws_nothing() -> None:
    def refuse(size: int, /) -> bytes:
        raise AssertionError(size)

    assert shuffled(refuse, []) == ()
    assert shuffled(refuse, ["only"]) == ("only",)
