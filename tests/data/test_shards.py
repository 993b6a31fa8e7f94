"""Shards, built apart and joined: the store that is built in one go, whatever the files and the number of shards."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data import encode
from tflm.data.corpora import DataConfig
from tflm.data.encoded_text import Share
from tflm.data.shards import build_shard, join_shards
from tflm.data.store import build_store
from tflm.errors import UserError


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 2000)


def write_corpus(folder, sizes, seed=0):
    """Files of so many lines, of few words, so that many lines are the same in several files."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    for number, size in enumerate(sizes):
        lines = (f"line {random.integers(700)} of a text, 中文\n" for _ in range(size))
        (folder / f"{number:03}.txt").write_text("".join(lines), encoding="utf-8")
    return str(folder)


def files_of(store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def build_and_join(config, tmp_path, count):
    tokenizer = ByteTokenizer()
    for left, index in enumerate(reversed(range(count))):
        missing = build_shard(tmp_path / "s", Share(index, count), config, tokenizer, tmp_path)
        assert [share.index for share in missing] == list(range(count - 1 - left))
    return join_shards(tmp_path / "s", config, tokenizer, tmp_path / "joined")


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([1500], 3),  # one large file
        ([3] * 200, 4),  # many small ones
        ([5, 900, 2, 0, 4, 700, 1, 1], 3),  # both, beside each other
        ([0, 30, 0], 5),  # more shards than batches
        ([200, 100], 1),
    ],
)
def test_the_store_is_that_of_one_go(tmp_path, sizes, count):
    config = DataConfig(corpus=write_corpus(tmp_path / "text", sizes), documents="line", workers=1)
    alone = build_store(config, ByteTokenizer(), tmp_path / "alone")
    joined = build_and_join(config, tmp_path, count)
    assert files_of(joined) == files_of(alone)
    assert joined.fingerprint == alone.fingerprint
    assert alone.card["splits"]["train"]["duplicates_removed"] > 0 or sum(sizes) < 100
    found = build_store(config, ByteTokenizer(), tmp_path / "joined")  # as `train` asks for it
    assert found.folder == joined.folder


def test_corpora_of_their_own_bad_files_and_empty_splits(tmp_path):
    """What is decided by all the text: documents shared with a test corpus, bad files, a split that comes out empty."""
    corpus = write_corpus(tmp_path / "text", [4, 9, 1])
    write_corpus(tmp_path / "test", [30, 300, 2], seed=1)
    (tmp_path / "text" / "001b.txt").write_bytes(b"\xff\xfe\x00broken" * 90)
    config = DataConfig(
        corpus=corpus,
        test_corpus=str(tmp_path / "test"),
        validation_fraction=1e-9,
        on_bad_file="skip",
        documents="line",
        workers=1,
    )
    alone = build_store(config, ByteTokenizer(), tmp_path / "alone")
    joined = build_and_join(config, tmp_path, 3)
    assert files_of(joined) == files_of(alone)
    card = joined.card
    assert card["files"] == 6 and card["skipped_files"]["bad"] == 1
    assert "001b.txt" in card["bad_files"][0]
    assert card["moved_to_empty_splits"] == 1 and card["splits"]["validation"]["documents"] == 1
    assert card["splits"]["train"]["shared_removed"] > 0


def test_every_share_has_its_part_of_the_work(tmp_path):
    corpus = write_corpus(tmp_path / "text", [2000, *[20] * 100])
    config = DataConfig(corpus=corpus, documents="line", workers=1)
    build_and_join(config, tmp_path, 4)
    sizes = [path.stat().st_size for path in (tmp_path / "s").rglob("data.bin")]
    assert len(sizes) == 4 and max(sizes) < 1.2 * min(sizes)


def test_shards_that_are_missing_or_of_something_else(tmp_path):
    config = DataConfig(corpus=write_corpus(tmp_path / "text", [50]), documents="line", workers=1)
    shards, tokenizer = tmp_path / "s", ByteTokenizer()
    with pytest.raises(UserError, match="s holds no shard of this text and tokenizer .*the same"):
        join_shards(shards, config, tokenizer, tmp_path)
    build_shard(shards, Share(1, 7), config, tokenizer, tmp_path)
    with pytest.raises(UserError, match="missing in .*: 0/7, 2/7, 3/7, 4/7, 5/7 and 1 more. Build"):
        join_shards(shards, config, tokenizer, tmp_path)
    with pytest.raises(UserError, match="holds no shard of this text"):
        join_shards(shards, config, ByteTokenizer(vocabulary_size=300), tmp_path)
    assert not list(tmp_path.glob("stores/*/"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write the shard to .*Not a directory.*another fol"):
        build_shard(tmp_path / "file", Share(0, 2), config, tokenizer, tmp_path)


def test_a_shard_that_was_cut_off_or_put_in_anothers_place(tmp_path):
    config = DataConfig(corpus=write_corpus(tmp_path / "text", [900]), documents="line", workers=1)
    expected = files_of(build_and_join(config, tmp_path, 2))
    (data,) = tmp_path.glob("s/*/0_of_2/shard/data.bin")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(UserError, match="missing in .*: 0/2. Build"):
        join_shards(tmp_path / "s", config, ByteTokenizer(), tmp_path / "again")
    assert build_shard(tmp_path / "s", Share(0, 2), config, ByteTokenizer(), tmp_path) == []
    again = join_shards(tmp_path / "s", config, ByteTokenizer(), tmp_path / "again")
    assert files_of(again) == expected
    other = data.parent.parent.parent / "1_of_2" / "shard"
    for name in ("data.bin", "shard.json"):
        (other / name).write_bytes((data.parent / name).read_bytes())
    with pytest.raises(
        UserError, match="do not fit together: in the train corpus, batch 0 of file"
    ):
        join_shards(tmp_path / "s", config, ByteTokenizer(), tmp_path / "third")


PROGRAM = """
import sys
from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data import encode
from tflm.data.corpora import DataConfig
from tflm.data.encoded_text import Share
from tflm.data.shards import build_shard
encode.BATCH_CHARACTERS = 2000
config = DataConfig(corpus=sys.argv[1], documents="line", workers=1)
build_shard(sys.argv[2], Share(0, 2), config, ByteTokenizer(seconds=0.1), sys.argv[2])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_is_interrupted_starts_cleanly(tmp_path, number):
    corpus = write_corpus(tmp_path / "text", [1500])
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, corpus, str(tmp_path / "s")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.rglob("shard.building/data.bin")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate()
    assert not list(tmp_path.rglob("shard.json"))
    assert len(list(tmp_path.rglob("*.building"))) == (number == signal.SIGKILL)
    config = DataConfig(corpus=corpus, documents="line", workers=1)
    alone = build_store(config, ByteTokenizer(), tmp_path / "alone")
    assert files_of(build_and_join(config, tmp_path, 2)) == files_of(alone)
    assert not list(tmp_path.rglob("*.building"))
    (card,) = tmp_path.glob("s/*/1_of_2/shard/shard.json")
    assert json.loads(card.read_text())["problems"] == []
