"""The set of hashes against Python's own."""

import hashlib

import numpy as np

from tflm.data.duplicates import SeenHashes, document_hash


def test_agrees_with_a_plain_set():
    random = np.random.default_rng(0)
    seen, plain = SeenHashes(), set()
    for size in random.integers(0, 300, 200):
        batch = random.integers(0, 20_000, size).astype(np.uint64)
        expected = []
        for value in batch.tolist():
            expected.append(value not in plain)
            plain.add(value)
        assert seen.add(batch).tolist() == expected
        assert len(seen) == len(plain)
    asked = np.arange(20_000, dtype=np.uint64)
    assert seen.contains(asked).tolist() == [value in plain for value in range(20_000)]


def test_extreme_values_and_the_empty_set():
    seen = SeenHashes()
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    assert not seen.contains(ends).any()
    assert seen.add(ends).all()
    assert seen.contains(ends).all()
    assert not seen.contains(np.array([1, 2**63], dtype=np.uint64)).any()


def test_eight_bytes_a_hash():
    seen = SeenHashes()
    for start in range(0, 200_000, 1000):
        seen.add(mixed(start, 1000))
    assert sum(run.nbytes for run in seen._runs) == 8 * 200_000
    assert len(seen._runs) < 20  # Geometric sizes: logarithmically many.


def mixed(start, count):
    numbers = np.arange(start, start + count, dtype=np.uint64)
    return numbers * np.uint64(0x9E3779B97F4A7C15)  # Odd, so no two agree.


def test_hash_is_blake2b_of_the_bytes():
    expected = hashlib.blake2b("né\r\n".encode(), digest_size=8).hexdigest()
    assert document_hash("né\r\n").to_bytes(8, "little").hex() == expected
