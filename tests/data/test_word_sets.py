"""The forms in which sets of words are published, with lines of the real ones."""

import lzma

import pytest

from tflm.data.word_sets import read_analogies, read_similarity
from tflm.errors import UserError

PAIRS = [("love", "sex", 6.77), ("tiger", "cat", 7.35)]


@pytest.fixture
def write(tmp_path):
    def write(content, name="set.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        "love\tsex\t6.77\ntiger\tcat\t7.35\n",
        "love sex 6.77\r\ntiger cat 7.35\r\n\r\n",
        "Word 1,Word 2,Human (mean)\nlove,sex,6.77\ntiger,cat,7.35",
        '"love","sex","6.77"\n"tiger","cat","7.35"\n',
        "# WordSimilarity-353\n# Word 1\tWord 2\tHuman (mean)\n\nlove\tsex\t6.77\n# x\ntiger\tcat\t7.35\n",
        "\ufeffWord 1\tWord 2\tHuman (mean)\t1\t2\nlove\tsex\t6.77\t9\t6\ntiger\tcat\t7.35\t9\t7\n",
        # SimLex-999 and SimVerb-3500 have the part of speech before the score.
        "word1\tword2\tPOS\tSimLex999\tconc(w1)\nlove\tsex\tN\t6.77\t2.7\ntiger\tcat\tN\t7.35\t5\n",
        "love   sex\t6.77\ntiger \tcat\t7.35\n".replace("\t", "  "),
    ],
)
def test_similarity_sets(write, content):
    assert read_similarity(write(content)) == PAIRS


def test_chinese_and_compressed_sets(write):
    path = write(lzma.compress("李白\t诗\t9.2\n医生\t责任\t8.85\n".encode()), "zh.txt.xz")
    assert read_similarity(path) == [("李白", "诗", 9.2), ("医生", "责任", 8.85)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\t1\na\tb\n", r"set.txt, line 2: wanted two words and a score. Received: 'a\\tb'"),
        ("a\tb\t1\n#\n\na\tb\tnan\n", "line 4: wanted two words and a score"),
        ("x y z\nw1 w2 word\n", "line 2: wanted two words and a score. Received: 'w1 w2 word'"),
        ("a\tb\t1\n\tb\t2\n", "line 2: wanted two words and a score"),
        ("w1 w2 score\n", "holds no pair of words. Give one pair a line"),
        ("# nothing\n", "holds no pair of words"),
        (b"caf\xe9 x 1\n", "set.txt is not UTF-8, first at byte 3. Convert it to UTF-8."),
    ],
)
def test_wrong_similarity_sets(write, content, message):
    with pytest.raises(UserError, match=message):
        read_similarity(write(content))


def test_analogies(write):
    path = write(
        "Athens Greece Oslo Norway\r\n: capital-world\r\nAthens Greece Rome Italy\r\n\r\n"
        ":family  \nboy girl  king\tqueen\n：A\n避 避一避 补 补一补\n# a remark\n"
        ": capital-world\nRome Italy Oslo Norway\n",
        "mine.v1.txt",
    )
    assert read_analogies(path) == {
        "mine": [("Athens", "Greece", "Oslo", "Norway")],
        "capital-world": [
            ("Athens", "Greece", "Rome", "Italy"),
            ("Rome", "Italy", "Oslo", "Norway"),
        ],
        "family": [("boy", "girl", "king", "queen")],
        "A": [("避", "避一避", "补", "补一补")],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (": x\na b c d\na b c\n", "set.txt, line 3: wanted four words. Received: 'a b c'"),
        (": \na b c d\n", "line 1: wanted the name of a category behind the colon"),
        (": x\n", "holds no analogy. Give ': category' and then four words a line"),
    ],
)
def test_wrong_analogies(write, content, message):
    with pytest.raises(UserError, match=message):
        read_analogies(write(content))


def test_files_that_cannot_be_read(write, tmp_path):
    with pytest.raises(UserError, match="Cannot read .*nowhere.txt: No such file or directory"):
        read_similarity(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match="Is a directory"):
        read_analogies(tmp_path)
    with pytest.raises(UserError, match="damaged .xz data"):
        read_similarity(write(b"no xz", "x.txt.xz"))
