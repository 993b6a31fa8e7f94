"""Co-occurrences against a double loop over the text; the same, bit by bit, whatever memory counting has."""

import json
import math
import shutil

import filelock
import numpy as np
import pytest

from tests.tiny_training import token_split
from tflm.data.cooccurrence import cooccurrences
from tflm.data.pair_runs import PAIR, PairNumbers
from tflm.errors import UserError


def text(num_documents: int = 12, seed: int = 0) -> np.ndarray:
    """Documents of 0 to 60 tokens of which some are unknown, ids from 4 to 29."""
    random = np.random.default_rng(seed)
    documents = []
    for _ in range(num_documents):
        words = random.choice(26, random.integers(0, 60), p=np.arange(26, 0, -1) / 351) + 4
        words[random.random(len(words)) < 0.1] = 1
        documents += [[2], words, [3]]
    return np.concatenate(documents)


def by_loop(tokens, window: int) -> dict[tuple[int, int], float]:
    """X_ij of every ordered pair."""
    table = {}
    for place, word in enumerate(tokens):
        for other in range(max(place - window, 0), min(place + window + 1, len(tokens))):
            between = tokens[min(place, other) : max(place, other) + 1]
            if other == place or word < 4 or tokens[other] < 4 or np.isin(between, (0, 2, 3)).any():
                continue
            key = (int(word), int(tokens[other]))
            table[key] = table.get(key, 0.0) + 1 / abs(place - other)
    return table


def both_ways(pairs: np.ndarray) -> dict[tuple[int, int], float]:
    table = {}
    for first, second, count in pairs.tolist():
        assert (first, second) not in table, "a pair stands in the file once"
        table[first, second] = table[second, first] = count
    return table


def counted(folder, tokens, window=10, vocabulary_size=30, **settings) -> np.ndarray:
    found = cooccurrences(token_split(tokens), vocabulary_size, window, folder, **settings)
    return found.read(0, found.num_pairs)


@pytest.mark.parametrize("window", [1, 2, 3, 10, 40])
def test_counts_equal_a_double_loop(window, tmp_path):
    tokens = text()
    pairs = counted(tmp_path, tokens, window)
    assert (pairs["first"] <= pairs["second"]).all()
    expected = by_loop(tokens, window)
    assert len(expected) > 100
    assert both_ways(pairs) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("memory_bytes", [1, 1000, 5000, 20_000, 100_000])
def test_any_memory_gives_the_same_file(memory_bytes, tmp_path):
    tokens = text(40)
    # 1 byte: every token is a run of its own, and they are merged entry by entry.
    few = counted(tmp_path / "few", tokens, memory_bytes=memory_bytes)
    many = counted(tmp_path / "many", tokens)
    np.testing.assert_array_equal(few, many)


def test_the_order_has_no_order(tmp_path):
    """Neither place nor word nor count of a pair tells where it stands in the file."""
    tokens = np.random.default_rng(0).integers(4, 2000, 20_000)
    pairs = counted(tmp_path, tokens, window=3, vocabulary_size=2000)
    assert len(pairs) > 50_000
    limit = 4 / math.sqrt(len(pairs))
    places = np.arange(len(pairs))
    for name in PAIR.names:
        values = pairs[name].astype("float64")
        assert abs(np.corrcoef(values, places)[0, 1]) < limit
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < limit


@pytest.mark.parametrize(
    ("vocabulary_size", "window"), [(5, 1), (30, 10), (1 << 16, 23), (1 << 28, 256)]
)
def test_numbers_of_pairs_go_there_and_back(vocabulary_size, window):
    numbers = PairNumbers(vocabulary_size, window)
    random = np.random.default_rng(0)
    first, second = random.integers(0, vocabulary_size, (2, 500)).astype("uint32")
    first[:2], second[:2] = vocabulary_size - 1, (0, vocabulary_size - 1)
    entries = numbers.add_up(numbers.of(first, second, window))
    assert (np.diff(entries["pair"].astype("float64")) >= 0).all()
    expected = {}
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        key = (min(one, other), max(one, other))
        expected[key] = expected.get(key, 0.0) + (2 if one == other else 1) / window
    pairs = numbers.pairs(entries)
    found = {(one, other): count for one, other, count in pairs.tolist()}
    assert found == pytest.approx(expected, rel=1e-6)


def test_what_is_counted_stays_in_the_cache(tmp_path):
    told = []
    settings = {"progress": lambda *state: told.append(state)}
    tokens = text()
    first = counted(tmp_path, tokens, **settings)
    assert {description for description, *_ in told} == {
        "count pairs of words",
        "merge pairs of words",
    }
    for description in {description for description, *_ in told}:
        *_, (_, done, total) = [state for state in told if state[0] == description]
        assert done == total
    told.clear()
    np.testing.assert_array_equal(counted(tmp_path, tokens, **settings), first)
    assert not told
    folder = next(path for path in (tmp_path / "cooccurrences").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {"pairs.bin", "pairs.json"}
    with open(folder / "pairs.bin", "r+b") as file:
        file.truncate(len(first) * PAIR.itemsize - 1)
    np.testing.assert_array_equal(counted(tmp_path, tokens, **settings), first)
    assert told, "a damaged table is counted again"
    for other in (tokens[:-1], np.append(tokens, 2)):
        told.clear()
        counted(tmp_path, other, **settings)
        assert told, "another text has another table"
    told.clear()
    counted(tmp_path, tokens, window=9, **settings)
    assert told, "another window, too"


def test_another_process_is_waited_for(tmp_path):
    told = []
    counted(tmp_path, text())
    folder = next(path for path in (tmp_path / "cooccurrences").iterdir() if path.is_dir())
    whole = (folder / "pairs.bin").read_bytes()
    shutil.rmtree(folder)
    lock = filelock.FileLock(f"{folder}.lock", thread_local=False)

    def build_and_let_go(description, done, total):
        if description.startswith("wait"):
            folder.mkdir()
            (folder / "pairs.bin").write_bytes(whole)
            (folder / "pairs.json").write_text(
                json.dumps({"num_pairs": len(whole) // PAIR.itemsize})
            )
            lock.release()
        told.append(description)

    with lock:
        pairs = counted(tmp_path, text(), progress=build_and_let_go)
    assert pairs.tobytes() == whole
    assert told == ["wait for another process that builds this store"], "two processes count once"


def test_a_killed_process_leaves_nothing_behind(tmp_path):
    room = tmp_path / "cooccurrences"
    (room / "another.building").mkdir(parents=True)
    (room / "another.building" / "runs.bin").write_bytes(b"half")
    counted(tmp_path, text())
    assert not list(room.glob("*.building"))


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(description, done, total):
        if description == "merge pairs of words":
            raise OSError(28, "No space left on device")

    with pytest.raises(
        UserError, match="Cannot write the co-occurrences to .*: No space left on device"
    ):
        counted(tmp_path, text(), progress=fail)
    assert not [path for path in (tmp_path / "cooccurrences").iterdir() if path.is_dir()]
    assert len(counted(tmp_path, text()))


def test_a_text_without_pairs_has_an_empty_table(tmp_path):
    assert len(counted(tmp_path, [2, 5, 3, 2, 6, 3, 2, 1, 7, 1, 3], window=2)) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "`window` must be 1 to 256. Received: 0."),
        ({"window": 257}, "`window` must be 1 to 256. Received: 257."),
        (
            {"vocabulary_size": 4},
            "Co-occurrences need 5 to 268,435,456 tokens. Received: a vocabulary of 4.",
        ),
    ],
)
def test_settings_are_checked(settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        counted(tmp_path, text(), **settings)
