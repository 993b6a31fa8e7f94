"""What is written is read again, bit by bit; what a file is is found out; what published files have is read."""

import gzip
import re

import numpy as np
import pytest

from tflm.errors import UserError
from tflm.vectors import FORMATS, WordVectors, read, write
from tflm.vectors.formats import detect

WRITTEN = [name for name, one in FORMATS.items() if one.write]
WORDS = ["the", "中文", "naïve", "</s>", "😀", "3.5", "a\u00a0b", "\u3000", "-", "\u2028x", "1"]


def awkward_table(rows: int, dim: int) -> np.ndarray:
    """Any finite float32, subnormal ones and the largest among them, and values of ordinary vectors."""
    rng = np.random.default_rng(11)
    table = rng.integers(0, 2**32, (rows, dim), dtype=np.uint32).view("float32").copy()
    table[~np.isfinite(table)] = -0.0
    table[::2] = rng.normal(size=table[::2].shape) * 0.1
    table[0, :4] = [np.finfo("float32").max, np.finfo("float32").tiny / 8, 1e-45, 16777216]
    return table


@pytest.fixture(scope="module")
def vectors():
    return WordVectors(WORDS, awkward_table(len(WORDS), 7))


def bits(table):
    return np.ascontiguousarray(table).view(np.uint32)


@pytest.mark.parametrize("packed", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("name", WRITTEN)
def test_round_trip(tmp_path, vectors, name, packed):
    path = tmp_path / f"vectors{FORMATS[name].ending}{packed}"
    assert write(path, vectors, name) == ()
    again = read(path)
    assert again.words == WORDS and again.notes == ()
    np.testing.assert_array_equal(bits(again.table), bits(vectors.table))
    assert detect(path) == {"fasttext_vec": "word2vec_text"}.get(name, name)
    np.testing.assert_array_equal(bits(read(path, name, limit=3).table), bits(vectors.table[:3]))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_text_of_any_float32_round_trips(tmp_path):
    table = awkward_table(2000, 50)
    write(tmp_path / "many.vec", WordVectors([f"w{i}" for i in range(2000)], table))
    np.testing.assert_array_equal(bits(read(tmp_path / "many.vec").table), bits(table))


def test_the_bytes_of_each_format(tmp_path):
    vectors = WordVectors(["a", "é"], np.array([[0.1, -2], [1e-5, 3]], "float32"))
    numbers = vectors.table.astype("<f4")
    expected = {
        "word2vec_text": "2 2\na 0.1 -2.0\né 1e-05 3.0\n".encode(),
        "glove": "a 0.1 -2.0\né 1e-05 3.0\n".encode(),
        "word2vec_binary": b"2 2\na %b\n\xc3\xa9 %b\n"
        % (numbers[0].tobytes(), numbers[1].tobytes()),
    }
    for name, content in expected.items():
        write(tmp_path / name, vectors, name)
        assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    ("ending", "name"),
    [(".vec", "word2vec_text"), (".bin", "word2vec_binary"), (".txt.GZ", "word2vec_text")],
)
def test_the_ending_names_the_format(tmp_path, vectors, ending, name):
    write(tmp_path / f"file{ending}", vectors)
    assert detect(tmp_path / f"file{ending}") == name


def test_equal_vectors_give_equal_packed_files(tmp_path, vectors):
    write(tmp_path / "one.vec.gz", vectors)
    write(tmp_path / "two.vec.gz", vectors)
    assert (tmp_path / "one.vec.gz").read_bytes() == (tmp_path / "two.vec.gz").read_bytes()


@pytest.mark.parametrize("name", WRITTEN)
def test_words_that_cannot_stand_in_a_file(tmp_path, name):
    words = ["New York", "New_York", "a\nb", " ", "", "x\ud800", "tab\t", "ok"]
    vectors = WordVectors(words, np.arange(16, dtype="float32").reshape(8, 2))
    notes = write(tmp_path / "file", vectors, name)
    again = read(tmp_path / "file")
    assert again.words == ["New_York_", "New_York", "a_b", "_", "__", "x?", "tab_", "ok"]
    np.testing.assert_array_equal(again.table, vectors.table)
    (note,) = notes
    assert note.startswith("6 words cannot stand in this format as they are")
    assert "'New York' as 'New_York_', 'a\\nb' as 'a_b'" in note and note.endswith(", ....")


def test_what_other_programs_write(tmp_path):
    """Spaces at the ends of lines, CRLF, no newline at the end, a name that says nothing, words with spaces."""
    contents = {
        "fasttext": b"2 2 \na 1 2 \nb 3 4 \n",
        "windows": b"2 2\r\na 1 2\r\nb 3 4\r\n",
        "no end": b"2 2\na 1 2\nb 3 4",
        "tab": b"2\t2\na 1 2\nb 3 4\n\n",
        "glove": b"a 1 2\nb 3 4",
        "no newlines": b"2 2\na "
        + np.array([1, 2], "<f4").tobytes()
        + b"b "
        # fmt: skip
        + np.array([3, 4], "<f4").tobytes(),
        "packed": gzip.compress(b"a 1 2\nb 3 4\n"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        vectors = read(tmp_path / name)
        assert vectors.words == ["a", "b"], name
        np.testing.assert_array_equal(vectors.table, [[1, 2], [3, 4]])
    (tmp_path / "spaces").write_bytes(b"the 1 2\n. . . 3 4\nat name@domain.com 5 6\n 7 8\n")
    assert read(tmp_path / "spaces").words == ["the", ". . .", "at name@domain.com", ""]


def test_the_first_of_a_repeated_word_counts(tmp_path):
    (tmp_path / "file").write_bytes(b"4 1\na 1\nb 2\na 3\na 4\n")
    vectors = read(tmp_path / "file")
    assert vectors.words == ["a", "b"]
    np.testing.assert_array_equal(vectors.table, [[1], [2]])
    assert vectors.notes == (
        "2 rows were of words that had come before; the first row of each counts.",
    )


def test_a_word_that_is_not_utf8(tmp_path):
    (tmp_path / "file").write_bytes(b"a 1 2\n\xe4\xb8 3 4\n")
    with pytest.raises(UserError, match=r"file: the word b'\\xe4\\xb8' of line 2 is not UTF-8"):
        read(tmp_path / "file")
    assert read(tmp_path / "file", unicode_errors="replace").words == ["a", "\ufffd"]
    with pytest.raises(UserError, match="Unknown `unicode_errors` 'x'"):
        read(tmp_path / "file", unicode_errors="x")


def test_numbers_that_are_not_finite_are_said(tmp_path):
    (tmp_path / "file").write_bytes(b"a 1 2\nb nan 1e99\n")
    vectors = read(tmp_path / "file")
    assert np.isnan(vectors.table[1, 0]) and np.isinf(vectors.table[1, 1])
    assert vectors.notes == (
        "Some vectors have numbers that are not finite; they are near no word.",
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_no_words(tmp_path, name):
    write(tmp_path / "file", WordVectors([], np.zeros((0, 3))), name)
    if name == "glove":
        with pytest.raises(UserError, match="the file is empty"):
            read(tmp_path / "file")
    else:
        assert read(tmp_path / "file").table.shape == (0, 3)


@pytest.mark.parametrize("name", WRITTEN)
def test_progress(tmp_path, monkeypatch, vectors, name):
    monkeypatch.setattr("tflm.vectors.streams._REPORT_BYTES", 100)
    heard = []
    write(tmp_path / "file", vectors, name, lambda *args: heard.append(args))
    assert heard[-1] == ("write vectors", len(WORDS), len(WORDS))
    size = (tmp_path / "file").stat().st_size
    heard.clear()
    read(tmp_path / "file", progress=lambda *args: heard.append(args))
    assert heard[-1] == ("read vectors", size, size) and len(heard) > 1
    assert all(0 <= done <= total == size for _, done, total in heard)


def test_limit(tmp_path, vectors):
    for name in WRITTEN:
        write(tmp_path / "file", vectors, name)
        assert read(tmp_path / "file", limit=1).words == ["the"]
        assert read(tmp_path / "file", limit=len(WORDS)).words == WORDS
        assert read(tmp_path / "file", limit=99).words == WORDS
    with pytest.raises(UserError, match="`limit` must be at least 1. Received: 0"):
        read(tmp_path / "file", limit=0)


def test_first_words_of_a_file_that_lacks_its_end(tmp_path, vectors):
    for name in WRITTEN:
        write(tmp_path / "file", vectors, name)
        content = (tmp_path / "file").read_bytes()
        (tmp_path / "file").write_bytes(content[: len(content) // 2])
        assert read(tmp_path / "file", name, limit=3).words == WORDS[:3]


def test_an_interrupted_writing_leaves_nothing(tmp_path, vectors):
    def stop(*args):
        raise KeyboardInterrupt

    (tmp_path / "file.vec").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file.vec", vectors, progress=stop)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_mistakes_of_writing(tmp_path, vectors):
    with pytest.raises(UserError, match="Unknown format of word vectors 'x'. Choose one of: fast"):
        write(tmp_path / "file", vectors, "x")
    with pytest.raises(UserError, match="file.npy: no format goes by this ending. Name one of: w"):
        write(tmp_path / "file.npy", vectors)
    with pytest.raises(UserError, match="fasttext_bin is only read here"):
        write(tmp_path / "file", vectors, "fasttext_bin")
    with pytest.raises(UserError, match=re.escape("none/a.vec cannot be written (No such file")):
        write(tmp_path / "none" / "a.vec", vectors)
    assert list(tmp_path.iterdir()) == []
