"""The token store: what is in it, what is counted, and when it is built anew."""

import collections
import hashlib
import json
import os

import numpy as np
import pytest
from fake_tokenizer import ByteTokenizer

from tflm.data import fingerprint
from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.data.windows import ShuffledWindows
from tflm.errors import UserError

SPLITS = ("train", "validation", "test")


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def config_of(path, **fields):
    return DataConfig(corpus=str(path), **{"workers": 1, "documents": "line", **fields})


def texts_of(store):
    """split -> its documents' texts, read back from the ids."""
    found = {}
    for name in SPLITS:
        if not store.card["splits"][name]["documents"]:
            found[name] = []
            continue
        split = store.split(name)
        ends = np.append(split.document_starts, len(split.tokens))
        found[name] = []
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            ids = split.tokens[start:end]
            assert ids[0] == 2 and ids[-1] == 3
            found[name].append(ByteTokenizer().decode(ids[1:-1]))
    return found


def split_by_hand(text, validation=0.05, test=0.05):
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    place = number / 2**64
    return "validation" if place < validation else "test" if place < validation + test else "train"


def test_splits_follow_the_hash_of_the_content(tmp_path):
    lines = [f"line {i}, é中" for i in range(2000)]
    store = build_store(
        config_of(write(tmp_path / "text", a_txt="\n".join(lines))), ByteTokenizer(), tmp_path
    )
    expected = {name: [x for x in lines if split_by_hand(x) == name] for name in SPLITS}
    assert texts_of(store) == expected
    assert 60 < len(expected["validation"]) < 140
    for name in SPLITS:
        card, joined = store.card["splits"][name], "".join(expected[name])
        count = len(expected[name])
        assert card["documents"] == store.split(name).num_documents == count
        assert card["bytes"] == store.split(name).num_bytes == len(joined.encode())
        assert card["characters"] == store.split(name).num_characters == len(joined)
        assert card["words"] == store.split(name).num_words == 3 * count
        assert card["tokens"] == len(store.split(name).tokens) == len(joined.encode()) + 2 * count
    json.dumps(store.card)


def test_dtypes_and_unknown_tokens(tmp_path):
    folder = write(tmp_path / "text", a_txt="\n".join(f"{i}" for i in range(100, 200)))
    small = build_store(config_of(folder), ByteTokenizer(65536, unknown=b"1"), tmp_path)
    large = build_store(config_of(folder), ByteTokenizer(65537), tmp_path)
    assert (small.split("train").tokens.dtype, large.split("train").tokens.dtype) == (
        np.uint16,
        np.uint32,
    )
    assert small.split("train").document_starts.dtype == np.int64
    ones = sum(text.count("1") for text in texts_of(large)["train"])
    card = small.card["splits"]["train"]
    assert card["unknown_tokens"] == small.split("train").num_unknown == ones
    assert card["unknown_share"] == pytest.approx(ones / card["bytes"])
    with pytest.raises(ValueError, match="read-only"):
        small.split("train").tokens[0] = 5


def test_duplicates_are_removed_and_counted(tmp_path):
    lines = [f"line {i}" for i in range(300)]
    doubled = lines + lines[:40] + lines[:10]
    store = build_store(
        config_of(write(tmp_path / "text", a_txt="\n".join(doubled), b_txt=lines[7])),
        ByteTokenizer(),
        tmp_path,
    )
    again = collections.Counter(split_by_hand(x) for x in lines[:40] + lines[:10] + [lines[7]])
    assert {n: store.card["splits"][n]["duplicates_removed"] for n in SPLITS} == {
        n: again[n] for n in SPLITS
    }
    assert texts_of(store)["train"] == [x for x in lines if split_by_hand(x) == "train"]


def test_given_files_are_kept_whole_and_taken_out_of_training(tmp_path):
    held = ["shared", "only held", "shared", "also in test"]
    test = ["also in test", "only test", "shared by test"]
    train = ["one", "shared", "two", "one", "shared by test", "shared", "three"]
    folder = write(
        tmp_path / "text", t_txt="\n".join(train), v_txt="\n".join(held), s_txt="\n".join(test)
    )
    store = build_store(
        config_of(
            folder / "t.txt",
            validation_corpus=str(folder / "v.txt"),
            test_corpus=str(folder / "s.txt"),
        ),
        ByteTokenizer(),
        tmp_path,
    )
    assert texts_of(store) == {"train": ["one", "two", "three"], "validation": held, "test": test}
    card = store.card["splits"]["train"]
    assert (card["shared_removed"], card["duplicates_removed"]) == (3, 1)
    assert store.card["shared_by_validation_and_test"] == 1
    assert store.card["files"] == 3


def test_given_validation_leaves_the_test_split_to_the_hash(tmp_path):
    lines = [f"line {i}" for i in range(500)]
    folder = write(tmp_path / "text", t_txt="\n".join(lines), v_txt="\n".join(lines[:5]))
    store = build_store(
        config_of(folder / "t.txt", validation_corpus=str(folder / "v.txt"), test_fraction=0.2),
        ByteTokenizer(),
        tmp_path,
    )
    found = texts_of(store)
    assert found["validation"] == lines[:5]
    assert found["test"] == [x for x in lines[5:] if split_by_hand(x, 0, 0.2) == "test"]


def test_crlf_and_nasty_bytes_survive_sections(tmp_path):
    text = "".join(f"{i} 中文\r\n\r\n👩‍👧\ttab  \x07\u2028\x85\r\n" for i in range(300)) + "no end"
    store = build_store(
        config_of(write(tmp_path / "text", a_txt=text), documents="section", section_bytes=256),
        ByteTokenizer(),
        tmp_path,
    )
    parts = sum(texts_of(store).values(), [])
    assert len(parts) > 30
    assert "".join(sorted(parts, key=text.index)) == text


def test_one_megabyte_on_one_line(tmp_path):
    line = "".join(chr(0x4E00 + i % 20000) for i in range(350_000))
    folder = write(tmp_path / "text", a_txt=line)
    whole = build_store(
        config_of(folder, validation_fraction=0.0, test_fraction=0.0), ByteTokenizer(), tmp_path
    )
    assert texts_of(whole)["train"] == [line]
    with pytest.raises(UserError, match="no validation split.*validation_fraction was 0"):
        whole.split("validation")
    with pytest.raises(UserError, match="Choose one of"):
        whole.split("dev")


def test_tiny_corpus_fills_every_split(tmp_path):
    lines = ["first", "second", "third", "third"]
    folder = write(tmp_path / "text", a_txt="\n".join(lines))
    store = build_store(config_of(folder), ByteTokenizer(), tmp_path)
    found = texts_of(store)
    by_hash = sorted(
        set(lines),
        key=lambda text: int.from_bytes(
            hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"
        ),
    )
    assert [found[name] for name in ("validation", "test", "train")] == [[x] for x in by_hash]
    assert store.card["moved_to_empty_splits"] == 2


@pytest.mark.parametrize(
    ("files", "fields", "said"),
    [
        ({"a_txt": ""}, {}, "holds no text"),
        ({"a_txt": "one\ntwo"}, {}, "2 different documents, too few for the .*validation_corpus"),
        (
            {"a_txt": "one"},
            {"documents": "section"},
            "1 different document, .*section_bytes .now 16384",
        ),
        (
            {"a_txt": b"\xff"},
            {"on_bad_file": "skip"},
            "holds no text. The first of 1 bad files: .*byte 0",
        ),
        ({"a_txt": b"ok\xff"}, {}, r"a\.txt: byte 2 \(0xff\) is not utf-8.*on_bad_file=skip"),
    ],
)
def test_corpus_that_gives_nothing(tmp_path, files, fields, said):
    folder = write(tmp_path / "text", **files)
    with pytest.raises(UserError, match=said) as error:
        build_store(config_of(folder, **fields), ByteTokenizer(), tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert not [p for p in (tmp_path / "cache" / "stores").iterdir() if p.is_dir()]


def test_nothing_left_to_train_on(tmp_path):
    folder = write(tmp_path / "text", a_txt="one\ntwo", b_txt="two\none\nthree")
    config = config_of(folder / "a.txt", validation_corpus=str(folder / "b.txt"), test_fraction=0.0)
    with pytest.raises(UserError, match="Nothing is left to train on"):
        build_store(config, ByteTokenizer(), tmp_path)


def test_bad_files_are_left_out_whole_and_counted(tmp_path):
    good = "\n".join(f"line {i}" for i in range(100))
    folder = write(
        tmp_path / "text", a_txt=good, b_txt=b"good start\n" * 200_000 + b"\xff", c_png=b"x"
    )
    (folder / "d.jsonl").write_text("{}")
    store = build_store(config_of(folder, on_bad_file="skip"), ByteTokenizer(), tmp_path)
    assert sorted(sum(texts_of(store).values(), [])) == sorted(good.split("\n"))
    assert store.card["skipped_files"] == {"unknown_kind": 1, "bad": 2}
    assert store.card["files"] == 1
    assert "b.txt: byte 2200000" in store.card["bad_files"][0]


def files_of(store):
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def test_changed_text_tokenizer_or_configuration_gives_another_store(tmp_path):
    folder = write(tmp_path / "text", a_txt="\n".join(f"line {i}" for i in range(100)))
    first = build_store(config_of(folder), ByteTokenizer(), tmp_path)
    built = first.folder.stat().st_mtime_ns
    again = build_store(config_of(folder), ByteTokenizer(), tmp_path)
    assert again.folder == first.folder and again.folder.stat().st_mtime_ns == built
    fingerprints = {first.fingerprint}

    path = folder / "a.txt"
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"line 50", b"line 05"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # Neither size nor date differs.
    changed = build_store(config_of(folder), ByteTokenizer(), tmp_path)
    fingerprints.add(changed.fingerprint)
    assert "line 50" not in sum(texts_of(changed).values(), [])
    fingerprints.add(build_store(config_of(folder), ByteTokenizer(300), tmp_path).fingerprint)
    for fields in (
        {"documents": "section", "section_bytes": 100},
        {"documents": "section", "section_bytes": 101},
        {"validation_fraction": 0.1},
        {"test_fraction": 0.1},
        {"folds": 3},
        {"folds": 3, "fold": 1},
        {"validation_corpus": str(path), "corpus": str(write(tmp_path / "b", b_txt="other\n" * 9))},
        {"on_bad_file": "skip"},
        {"encoding": "latin-1"},
    ):
        config = (
            config_of(folder, **fields)
            if "corpus" not in fields
            else DataConfig(workers=1, documents="line", test_fraction=0.0, **fields)
        )
        fingerprints.add(build_store(config, ByteTokenizer(), tmp_path).fingerprint)
    assert len(fingerprints) == 12


def test_moved_text_reuses_its_store(tmp_path):
    folder = write(tmp_path / "text", a_txt="\n".join(f"line {i}" for i in range(100)))
    first = build_store(config_of(folder), ByteTokenizer(), tmp_path)
    folder.rename(tmp_path / "moved")
    second = build_store(config_of(tmp_path / "moved"), ByteTokenizer(), tmp_path)
    assert second.fingerprint == first.fingerprint
    assert second.card["corpus"] == {"train": str(tmp_path / "moved")}


def test_changed_code_gives_another_store(tmp_path, monkeypatch):
    import tflm.data
    import tflm.text

    before = fingerprint.code_hash()
    for room in (tflm.text, tflm.data):
        package = tmp_path / room.__name__ / "__init__.py"
        package.parent.mkdir()
        package.write_text("")
        monkeypatch.setattr(room, "__file__", str(package))
    hashes = {before, fingerprint.code_hash()}
    (tmp_path / "tflm.text" / "new.py").write_text("x = 1")
    hashes.add(fingerprint.code_hash())
    (tmp_path / "tflm.data" / "new.py").write_text("x = 1")
    hashes.add(fingerprint.code_hash())
    assert len(hashes) == 4
    (tmp_path / "tflm.data" / "windows.py").write_text("x = 1")  # Decides no ids.
    assert fingerprint.code_hash() in hashes


def test_text_that_changes_while_it_is_read(tmp_path):
    folder = write(tmp_path / "text", a_txt="\n".join(f"line {i}" for i in range(100)))

    def edit(description, done, total):
        if description == "tokenize":
            (folder / "a.txt").write_text("other")

    with pytest.raises(UserError, match="changed while it was read"):
        build_store(config_of(folder), ByteTokenizer(), tmp_path, edit)
    assert not list((tmp_path / "stores").glob("*/store.json"))


def test_damaged_store_is_built_again(tmp_path):
    folder = write(tmp_path / "text", a_txt="\n".join(f"line {i}" for i in range(100)))
    first = build_store(config_of(folder), ByteTokenizer(), tmp_path)
    whole = files_of(first)
    (first.folder / "train.bin").write_bytes(whole["train.bin"][:-2])
    assert files_of(build_store(config_of(folder), ByteTokenizer(), tmp_path)) == whole
    (first.folder / "store.json").write_text("{")
    assert files_of(build_store(config_of(folder), ByteTokenizer(), tmp_path)) == whole


def test_batches_are_equal_after_opening_again(tmp_path):
    folder = write(tmp_path / "text", a_txt="\n".join(f"line number {i}" for i in range(1000)))
    batches = []
    for _ in range(2):
        split = build_store(config_of(folder), ByteTokenizer(), tmp_path).split("train")
        windows = ShuffledWindows(split, 32, 8, seed=4)
        batches.append([windows.batch(step) for step in (0, 57, 10**6)])
    for first, second in zip(*batches, strict=True):
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_pages_are_given_back(tmp_path):
    """Reading batches must not keep the whole store resident."""
    import psutil

    lines = "\n".join(f"{i:0200d}" for i in range(100_000))
    folder = write(tmp_path / "text", a_txt=lines)
    split = build_store(config_of(folder, documents="section"), ByteTokenizer(), tmp_path).split(
        "train"
    )
    assert split.tokens.nbytes > 30_000_000
    windows = ShuffledWindows(split, 1000, 20, seed=0)
    windows.batch(0)
    before = psutil.Process().memory_info().rss
    for step in range(int(windows.steps_per_epoch)):
        windows.batch(step)
    assert psutil.Process().memory_info().rss - before < 8_000_000
