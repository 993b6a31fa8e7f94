"""The store of pairs: what is in it, what is left out of it, whatever the number of processes."""

import numpy as np
import pytest

from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data import encode
from tflm.data.corpora import DataConfig
from tflm.data.encoded_pairs import PairLimits
from tflm.data.parallel_store import build_parallel_store, describe_pairs, parallel_split
from tflm.errors import UserError

TRAIN = [("ein Haus", "a house"), ("ja", "yes"), ("ja", "sure"), ("nein", "no")]
SPLITS = ("train", "validation", "test")


class ShiftedTokenizer(ByteTokenizer):
    """Another one for the sources: byte b is token b + 5."""

    def encode(self, text):
        return [i + 1 for i in super().encode(text)]


@pytest.fixture
def files(tmp_path):
    def write(**splits) -> DataConfig:
        paths = {}
        for split, rows in splits.items():
            path = tmp_path / f"{split}.tsv"
            path.write_text("".join(f"{source}\t{target}\n" for source, target in rows))
            paths["corpus" if split == "train" else f"{split}_corpus"] = str(path)
        return DataConfig(**paths, workers=1)

    return write


def pairs_of(split, added=4) -> list[tuple[str, str]]:
    found = []
    for i in range(split.num_pairs):
        source, target = split.source(i), split.target(i)
        assert (source[-1], target[0], target[-1]) == (3, 2, 3)
        source = bytes(int(j) - added for j in source[:-1]).decode()
        found.append((source, ByteTokenizer().decode(target)))
    return found


def test_splits_that_are_given(files, tmp_path):
    held_out = [("ja", "yep"), ("doch", "but yes")]
    config = files(train=TRAIN, validation=held_out, test=held_out[1:])
    store = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    assert pairs_of(store.split("train")) == TRAIN
    assert pairs_of(store.split("validation")) == held_out
    assert pairs_of(store.split("test")) == held_out[1:]
    card = store.card["splits"]
    assert (card["train"]["documents"], card["train"]["bytes"]) == (4, 7 + 3 + 4 + 2)
    assert card["train"]["tokens"] == 16 + 2 * 4
    assert card["train"]["source"]["bytes"] == 8 + 2 + 2 + 4
    assert card["train"]["source"]["tokens"] == 16 + 4
    assert [card[name]["shared_with_train"] for name in SPLITS] == [0, 1, 0]
    split = store.split("train")
    assert (split.num_pairs, split.num_bytes, split.num_words) == (4, 16, 5)
    again = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    assert again.folder == store.folder
    assert store.card["corpus"] == {
        "train": config.corpus,
        "validation": config.validation_corpus,
        "test": config.test_corpus,
    }


def test_two_tokenizers(files, tmp_path):
    config = files(train=TRAIN, validation=TRAIN, test=TRAIN)
    one = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    source = ShiftedTokenizer(70_000)
    two = build_parallel_store(config, ByteTokenizer(), source, cache_folder=tmp_path)
    assert one.fingerprint != two.fingerprint
    split = two.split("train")
    assert (split.source_tokens.dtype, split.tokens.dtype) == (np.uint32, np.uint16)
    assert split.source(3)[:4].tolist() == [ord(letter) + 5 for letter in "nein"]
    assert pairs_of(split)[0] == ("fjo!Ibvt", "a house")
    plain = ByteTokenizer(unknown=b"j")
    card = build_parallel_store(config, ByteTokenizer(), plain, cache_folder=tmp_path).card
    assert card["splits"]["train"]["source"]["unknown_share"] == pytest.approx(2 / 16)
    assert card["splits"]["train"]["unknown_share"] == 0


def test_splits_by_the_source(files, tmp_path):
    rows = [(f"source {i // 2}", f"target {i}") for i in range(600)]
    store = build_parallel_store(files(train=rows), ByteTokenizer(), cache_folder=tmp_path)
    parts = [pairs_of(store.split(name)) for name in SPLITS]
    assert sorted(sum(parts, [])) == sorted(rows)
    assert all(len(part) > 10 for part in parts)
    sources = [{source for source, _ in part} for part in parts]
    assert not (sources[0] & sources[1] or sources[0] & sources[2] or sources[1] & sources[2])
    assert parts[0] == [row for row in rows if row in set(parts[0])]


def test_a_tiny_set_has_every_split(files, tmp_path):
    rows = [(f"source {i}", "x") for i in range(4)]
    store = build_parallel_store(files(train=rows), ByteTokenizer(), cache_folder=tmp_path)
    sizes = [store.split(name).num_pairs for name in SPLITS]
    assert sum(sizes) == 4 and min(sizes) >= 1


def test_what_the_filters_leave_out(files, tmp_path):
    rows = [
        ("nine char", "a"),  # 9 tokens and 1
        ("eight ch", "a"),  # too short for a ratio
        ("nine char", "abc"),
        ("x" * 12, "y" * 12),  # 13 with eos
        ("x" * 11, "y" * 11),
        ("abcd", "y" * 10),
        ("abcd", "y" * 11),
        ("", "nothing"),
        ("nothing", ""),
        ("", ""),
    ]
    config = files(train=rows, validation=rows, test=rows)
    limits = PairLimits(max_source_tokens=12, max_target_tokens=11, max_length_ratio=3)
    store = build_parallel_store(config, ByteTokenizer(), limits=limits, cache_folder=tmp_path)
    assert pairs_of(store.split("train")) == [rows[1], rows[2], rows[5]]
    # The row of two empty sides is a blank line.
    expected = {"empty": 2, "too_long": 3, "unequal": 1}
    assert store.card["splits"]["train"]["left_out"] == expected
    assert store.split("train").left_out == expected
    assert pairs_of(store.split("test")) == [rows[0], rows[1], rows[2], rows[5]]
    assert store.split("test").left_out == {"empty": 2, "too_long": 3, "unequal": 0}
    assert (
        "left out 2 with an empty side, 3 longer than 12/11 tokens, 1 of unequal length; 0 so"
        in (describe_pairs(store.card)[0])
    )
    everything = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    assert pairs_of(everything.split("train")) == rows[:7]
    assert everything.fingerprint != store.fingerprint
    with pytest.raises(UserError, match="`max_length_ratio` must be at least 0. Received: -1"):
        PairLimits(max_length_ratio=-1)


def test_synthetic_pairs_are_trained_on_only(files, tmp_path):
    made = [("made", "up"), ("other", "but yes"), ("doch", "some"), ("", "x"), ("ja", "yes")]
    held_out = [("doch", "but yes")]
    config = files(train=TRAIN, validation=held_out, test=held_out, synthetic=made)
    store = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    assert pairs_of(store.split("train")) == [*TRAIN, made[0], made[4]]
    assert pairs_of(store.split("validation")) == held_out
    assert store.card["synthetic"] == {"pairs": 2, "held_out": 2}
    assert store.card["splits"]["train"]["left_out"]["empty"] == 1
    assert describe_pairs(store.card)[-1] == (
        "  synthetic  2 pairs added to train, left out 2 of which a side is also in a held-out split"
    )
    without = build_parallel_store(
        files(train=TRAIN, validation=held_out, test=held_out),
        ByteTokenizer(),
        cache_folder=tmp_path,
    )
    assert without.card["synthetic"] is None and without.fingerprint != store.fingerprint


def test_many_processes_write_the_same(files, tmp_path, monkeypatch):
    rows = [(f"source {i} " * (i % 5 + 1), f"target {i % 7} " * (i % 4 + 1)) for i in range(500)]
    rows = [(source.strip(), target.strip()) for source, target in rows]
    config = files(train=rows)
    alone = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path / "1")
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 2000)
    config.workers = 2
    reports = []
    together = build_parallel_store(
        config,
        ByteTokenizer(),
        cache_folder=tmp_path / "2",
        progress=lambda *report: reports.append(report),
    )
    assert alone.card == together.card
    for name in SPLITS:
        one, other = alone.split(name), together.split(name)
        for field in ("tokens", "document_starts", "source_tokens", "source_starts"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert one.buckets == other.buckets
        for measure, order in one.orders.items():
            np.testing.assert_array_equal(order, other.orders[measure])
    assert ("tokenize", reports[-1][2], reports[-1][2]) == reports[-1]


def test_buckets_hold_every_pair(files, tmp_path):
    random = np.random.default_rng(0)
    rows = [("x" * random.integers(1, 60), f"{i:06}") for i in range(400)]
    config = files(train=rows, validation=rows[:1], test=rows[:1])
    split = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path).split("train")
    for measure, longest in (("longest", max), ("sum", lambda a, b: a + b)):
        order, buckets = split.orders[measure], split.buckets[measure]
        assert sorted(order) == list(range(400))
        assert 3 < len(buckets) <= 6 and sum(bucket.pairs for bucket in buckets) == 400
        before = 0
        for bucket in buckets:
            pairs = order[bucket.first : bucket.first + bucket.pairs]
            sides = [(len(split.source(i)), len(split.target(i)) - 1) for i in pairs]
            assert bucket.source_length == max(source for source, _ in sides)
            assert bucket.target_length == max(target for _, target in sides) == 7
            assert bucket.longest_sum == max(map(sum, sides))
            assert bucket.source_tokens == sum(source for source, _ in sides)
            assert bucket.target_tokens == 7 * len(pairs)
            lengths = [longest(*side) for side in sides]
            assert before < min(lengths)
            before = max(lengths)


def test_a_damaged_store_is_built_again(files, tmp_path):
    config = files(train=TRAIN, validation=TRAIN, test=TRAIN)
    store = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    (store.folder / "train.by_sum.bin").write_bytes(b"1234")
    again = build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path)
    assert sorted(again.split("train").orders["sum"]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [("a", "x"), ("b", "y")]}, "has 2 pairs, too few for the validation"),
        ({"train": [("", "x")]}, "holds no pair. Give two files .* left out: 1 empty.$"),
        (
            {"train": TRAIN, "test": [("x" * 9, "y")]},
            "test.tsv holds no pair. .* out: 1 too long.$",
        ),
        (
            {"train": [*TRAIN, ("a\tb", "c")]},
            "train.tsv, line 5: wanted 2 columns, as in the first",
        ),
    ],
)
def test_what_is_wrong(files, tmp_path, splits, message):
    limits = PairLimits(max_source_tokens=9)
    with pytest.raises(UserError, match=message):
        build_parallel_store(
            files(**splits), ByteTokenizer(), limits=limits, cache_folder=tmp_path / "cache"
        )
    assert not list((tmp_path / "cache").glob("parallel_stores/*/"))


def test_files_with_different_numbers_of_lines_leave_no_store(tmp_path):
    (tmp_path / "a.de").write_text("eins\nzwei\ndrei\n")
    (tmp_path / "a.en").write_text("one\ntwo\n")
    config = DataConfig(corpus=f"{tmp_path}/a.de,{tmp_path}/a.en", workers=1)
    with pytest.raises(UserError, match="a.de has 3 lines, but .*a.en has 2"):
        build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path / "cache")
    config.on_bad_file = "skip"
    with pytest.raises(UserError, match="holds no pair. .* first of 1 bad files: .* 3 lines"):
        build_parallel_store(config, ByteTokenizer(), cache_folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("parallel_stores/*/"))


def test_a_file_in_memory(tmp_path):
    (tmp_path / "a.de").write_text("eins\n\nzwei Wörter\n")
    (tmp_path / "a.en").write_text("one\ntwo\ntwo words\n")
    path = f"{tmp_path}/a.de,{tmp_path}/a.en"
    split = parallel_split(path, ByteTokenizer(), ShiftedTokenizer())
    assert pairs_of(split, added=5) == [("eins", "one"), ("zwei Wörter", "two words")]
    assert split.left_out == {"empty": 1, "too_long": 0, "unequal": 0}
    assert (split.name, split.num_pairs, split.num_words, split.num_bytes) == ("file", 2, 3, 12)
    assert split.orders["longest"].tolist() == [0, 1]
    limits = PairLimits(max_source_tokens=5)
    assert parallel_split(path, ByteTokenizer(), limits=limits).num_pairs == 1
    with pytest.raises(UserError, match="holds no pair .* left out: 1 empty, 2 too long.$"):
        parallel_split(path, ByteTokenizer(), limits=PairLimits(max_source_tokens=4))
