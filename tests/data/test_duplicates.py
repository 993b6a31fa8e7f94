"""The set of hashes against Python's own."""

import hashlib
import tracemalloc

import numpy as np

from tflm.data.duplicates import SeenHashes, document_hash


def test_agrees_with_a_plain_set():
    random = np.random.default_rng(0)
    seen, plain = SeenHashes(), set()
    for size in random.integers(0, 300, 200):
        batch = random.integers(0, 20_000, size).astype(np.uint64) << np.uint64(size % 50)
        expected = []
        for value in batch.tolist():
            expected.append(value not in plain)
            plain.add(value)
        assert seen.add(batch).tolist() == expected
        assert len(seen) == len(plain)
    asked = np.concatenate(
        [np.arange(20_000, dtype=np.uint64) << np.uint64(k) for k in (0, 30, 49)]
    )
    assert seen.contains(asked).tolist() == [value in plain for value in asked.tolist()]


def test_extreme_values_and_the_empty_set():
    seen = SeenHashes()
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    assert not seen.contains(ends).any()
    assert seen.add(ends).all()
    assert seen.contains(ends).all()
    assert not seen.contains(np.array([1, 2**63], dtype=np.uint64)).any()


def test_eight_bytes_a_hash_and_little_more_at_the_peak():
    tracemalloc.start()
    seen = SeenHashes()
    for start in range(0, 1_000_000, 10_000):
        seen.add(mixed(start, 10_000))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 8.0 * 1e6 < held < 8.2 * 1e6
    assert peak < 10.5 * 1e6  # a batch of 10,000 itself takes some


def mixed(start, count):
    numbers = np.arange(start, start + count, dtype=np.uint64)
    return numbers * np.uint64(0x9E3779B97F4A7C15)  # Odd, so no two agree.


def test_hash_is_blake2b_of_the_bytes():
    expected = hashlib.blake2b("né\r\n".encode(), digest_size=8).hexdigest()
    assert document_hash("né\r\n").to_bytes(8, "little").hex() == expected
