"""A damaged file, or one that is something else, is one line that says where, and takes no memory it cannot fill."""

import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest

from tflm.errors import UserError
from tflm.vectors import FORMATS, WordVectors, read, write

ROW = np.array([1, 2], "<f4").tobytes()
BIG = b"999999999"

DAMAGED = {
    "empty": (None, b"", "the file is empty"),
    "prose": (None, b"Once upon a time\n", "this is no file of word vectors .* word2vec_text, w"),
    "zip": (None, b"PK\x03\x04rest", "this is a zip archive; unpack it"),
    "zstd": (None, b"\x28\xb5\x2f\xfdrest", "this is zstd data; unpack it"),
    "cut gzip": (None, gzip.compress(b"a 1 2\n" * 50)[:-12], "damaged data .*get the file once"),
    "bad gzip": (None, b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", "damaged data"),
    "bad bzip2": (None, b"BZh91AY&SYxxxxxxxxxxxxx", r"cannot be read \(Invalid data stream\)"),
    "bad xz": (None, b"\xfd7zXZ\x00" + b"x" * 20, "damaged data"),
    "number": (None, b"2 2\na 1 2\nb 1 x2\n", "line 3 has b'x2' where a number must be"),
    "number first": (None, b"2 2\na 1 x\nb 1 2\n", "line 2 has b'x' where a number must be"),
    "glove number": (None, b"a 1 2\nb 1 x2\n", "line 2 has b'x2' where a number must be"),
    "two spaces": (None, b"a 1 2\nb 1  2\n", "line 2 has 3 numbers instead of 2|line 2 has b''"),
    "too few": (None, b"2 3\na 1 2 3\nb 1 2\n", "line 3 has 2 numbers instead of 3"),
    "too many": (None, b"a 1 2 3\nb 1 2 3 4\n", "line 2 has 4 numbers instead of 3"),
    "alone": (None, b"a 1 2 3\nb\n", "line 2 has 0 numbers instead of 3"),
    "fewer lines": (None, b"3 1\na 1.25\nb 1.25\n", "line 1 promises 3 words, but there are 2"),
    "more lines": (None, b"1 1\na 1\n\nb 1\n", "line 1 promises 1 words, line 4 is one more; co"),
    "negative": (None, b"-3 2\na 1 2\n", "its header promises -3 words"),
    "no dimension": (None, b"3 0\na\n", "vectors have 1 to 1048576 dimensions, not 0"),
    "wide": (None, b"1 " + BIG + b"\na 1\n", "vectors have 1 to 1048576 dimensions, not 999999999"),
    "huge": (None, BIG + b" 9\na 1 1 1 1 1 1 1 1 1\n", "its header promises 999999999 words of 9"),
    "packed huge": (None, gzip.compress(BIG + b" 99\na" + b" 1" * 99), "line 1 promises .* are 1;"),
    "long line": (None, b"1 1\n" + b"a" * 70000 + b" 1\n", "line 2 is too long for a word and 1 n"),
    "binary cut": (
        None,
        b"1 2\na " + ROW[:-1],
        "the file ends early, at byte 13, within word 1 of",
    ),
    "binary short": (
        None,
        b"3 2\na " + ROW + b"\nb " + ROW,
        "its header promises 3 words of 2 dim",
    ),
    "binary long": (None, b"1 2\na " + ROW + b"\nb " + ROW, "end at byte 14, but the file goes on"),
    "binary huge": (None, BIG + b" 9\na \0\0" + ROW, "its header promises 999999999 words of 9 di"),
    "binary packed": (None, gzip.compress(BIG + b" 2\na " + ROW), "within word 2 of 999999999"),
    "binary no space": (None, b"9 2\n" + b"\xff\0" * 90000, "there is no word at byte 4: no space"),
    "no header": ("word2vec_text", b"a 1 2\n", 'line 1 must be "N D"'),
    "no binary header": ("word2vec_binary", b"a 1 2\n", 'it must begin with a line "N D"'),
    "a header": ("glove", b"N D\n", "line 1 must be a word and the numbers"),
    "no model": ("fasttext_bin", b"2 2\na 1 2\nb 1 2\n", "this is no .bin of fastText"),
    "no format": ("x", b"", "Unknown format of word vectors 'x'. Choose one of: fasttext_bin, fa"),
}


def model(**changes) -> bytes:
    """A .bin of fastText by the layout of fasttext.cc: words a, b and a label; 3 buckets; 2 dimensions."""
    values = {"magic": 793712314, "version": 12, "dim": 2, "bucket": 3, "minn": 2, "maxn": 3}
    values |= {"size": 3, "words": 2, "labels": 1, "pruned": -1, "quantized": 0, "rows": 5}
    values |= {"width": 2, "kind": 0, "name": b"b", "input": np.arange(10, dtype="<f4").tobytes()}
    v = values | changes
    args = (v["dim"], 5, 1, 1, 5, 1, 2, 2, v["bucket"], v["minn"], v["maxn"], 100, 1e-4)
    data = struct.pack("<2i12id", v["magic"], v["version"], *args)
    data += struct.pack("<3i2q", v["size"], v["words"], v["labels"], 20, v["pruned"])
    for name, count, kind in ((b"a", 7, v["kind"]), (v["name"], 5, 0), (b"__label__x", 3, 1)):
        data += name + b"\0" + struct.pack("<qb", count, kind)
    data += struct.pack("<b2q", v["quantized"], v["rows"], v["width"]) + v["input"]
    return data + struct.pack("<b2q", 0, 0, 2)


MODELS = {
    "version": ({"version": 13}, "this is no .bin of fastText, version 11 or 12"),
    "quantized": ({"quantized": 1}, r"a quantized model \(.ftz\) does not hold its vectors"),
    "pruned": ({"pruned": 0}, "a quantized model"),
    "dim": ({"dim": -1}, "its header is damaged: `dim` must be from 1 to 1048576, not -1"),
    "bucket": ({"bucket": -3}, "`bucket` must be from 1 to 2147483647, not -3"),
    "maxn": ({"maxn": 2**31 - 1}, "`maxn` must be from 0 to 256"),
    "words": ({"words": -1, "size": 0}, "its dictionary is damaged: 0 entries, -1 words, 1 labels"),
    "size": ({"size": 2}, "its dictionary is damaged: 2 entries, 2 words, 1 labels"),
    "many": ({"size": 2**31 - 1, "words": 2**31 - 2}, "its dictionary promises 2147483647 entries"),
    "a label early": ({"kind": 1}, "its dictionary is damaged: the entry at byte 92 is no word"),
    "not UTF-8": ({"name": b"\xff"}, r"the word b'\\xff' of byte 103 is not UTF-8"),
    "no end": ({"name": b"b" * 70000}, "its dictionary is damaged: no word ends behind byte 103"),
    "rows": (
        {"rows": 2**60},
        r"its input matrix is damaged: \(1152921504606846976, 2\) instead of",
    ),
    "width": ({"width": 3}, r"its input matrix is damaged: \(5, 3\) instead of \(5, 2\)"),
    "short": (
        {"bucket": 10**9, "rows": 10**9 + 2},
        "the file ends early: the input matrix needs 8000000000 bytes from byte .* and there are",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(tmp_path, name):
    format, content, expected = DAMAGED[name]
    fails(tmp_path / "file", content, expected, format)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_damaged_models(tmp_path, name, packed):
    changes, expected = MODELS[name]
    content = model(**changes)
    if packed:  # What is promised cannot be held against the size of the file.
        content = gzip.compress(content)
        expected = {
            "many": "no word|ends early",
            "short": "ends early, at byte .*, within the input matrix",
        }.get(name, expected)
    fails(tmp_path / "file", content, expected)


def fails(path, content, expected, format=None):
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UserError, match=expected) as caught:
        read(path, format)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value) and (format == "x" or str(path) in str(caught.value))
    assert peak < 150e6


def test_a_model_by_hand(tmp_path):
    for content in (model(), gzip.compress(model())):
        (tmp_path / "file").write_bytes(content)
        vectors = read(tmp_path / "file")
        assert vectors.words == ["a", "b"] and vectors.counts.tolist() == [7, 5]
        rows = vectors.subword_rows
        np.testing.assert_array_equal(rows.own, [[0, 1], [2, 3]])
        np.testing.assert_array_equal(rows.buckets, [[4, 5], [6, 7], [8, 9]])
        ngrams = rows.buckets[rows.subwords.bucket_ids("a")]  # <a, <a>, a>
        assert rows.subwords.ngrams("a") == ["<a", "<a>", "a>"]
        np.testing.assert_allclose(vectors.table[0], (rows.own[0] + ngrams.sum(axis=0)) / 4)
        first = read(tmp_path / "file", limit=1)
        assert first.words == ["a"] and first.counts.tolist() == [7]
        np.testing.assert_array_equal(first.table, vectors.table[:1])
        np.testing.assert_array_equal(first.vector("b!"), vectors.vector("b!"))


def test_models_without_ngrams(tmp_path):
    # As FastText::loadModel has it, an old classifier (model 3) has none, and neither has one of minn > maxn.
    old = bytearray(model(version=11))
    old[36:40] = struct.pack("<i", 3)
    for content in (model(maxn=0, minn=0), model(minn=4), bytes(old)):
        (tmp_path / "file").write_bytes(content)
        vectors = read(tmp_path / "file")
        assert vectors.subword_rows is None
        np.testing.assert_array_equal(vectors.table, [[0, 1], [2, 3]])


def test_a_repeated_word_of_a_model(tmp_path):
    (tmp_path / "file").write_bytes(model(name=b"a"))
    vectors = read(tmp_path / "file")
    assert vectors.words == ["a"] and vectors.counts.tolist() == [7]
    np.testing.assert_array_equal(vectors.subword_rows.own, [[0, 1]])
    assert vectors.notes[0].startswith("1 rows were of words that had come before")


@pytest.mark.parametrize("name", [*FORMATS])
def test_a_file_that_is_cut_anywhere(tmp_path, name):
    """Every prefix is an error, but for those that look whole: text without its last digits or newline."""
    path = tmp_path / "file"
    if name == "fasttext_bin":
        content = model()
        whole = len(content) - 17  # The output matrix is not read.
    else:
        write(path, WordVectors(["ab", "cd"], np.array([[0.25, 3], [1, 4]], "float32")), name)
        content = path.read_bytes()
        whole = content.rindex(b"4") if name != "word2vec_binary" else len(content) - 1
    # Without a header, the first line says how many numbers there are.
    start = content.index(b"\n") + 2 if name == "glove" else 0
    for length in range(start, whole):
        path.write_bytes(content[:length])
        with pytest.raises(UserError):
            read(path, name)
    path.write_bytes(content)
    assert len(read(path, name)) == 2


def test_what_is_no_file(tmp_path):
    with pytest.raises(UserError, match=r"none cannot be read|none: cannot be read \(No such file"):
        read(tmp_path / "none")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        read(tmp_path)
    with pytest.raises(UserError, match="/dev/null: this is no file"):
        read(os.devnull)
