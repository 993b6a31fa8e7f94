"""Labelled texts in the forms in which data sets are published, with lines of the real ones."""

import lzma

import pytest

from tflm.data.corpora import DataConfig, resolve
from tflm.data.labelled import LabelledText, labelled_texts, read_labelled
from tflm.errors import UserError

TEXTS, LABELS = ["a stirring , funny film", "no 3 tabs\tin it", "why ?"], ["1", "0", "0"]


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
        "1\ta stirring , funny film\n0\tno 3 tabs\tin it\n0\twhy ?\n",
        "label\ttext_a\r\n1\ta stirring , funny film\r\n0\tno 3 tabs\tin it\r\n\r\n0\twhy ?",
        "sentence\tLabel\na stirring , funny film\t1\nno 3 tabs\tin it\t0\nwhy ?\t0\n",
        "a stirring , funny film\t1\nno 3 tabs\tin it\t0\nwhy ?\t0\n",
        "1 a stirring , funny film\n0 no 3 tabs\tin it\n0 why ?\n",
    ],
)
def test_forms(write, content):
    assert read_labelled(write(content)) == (TEXTS, LABELS)
    assert read_labelled(write(lzma.compress(content.encode()), "set.txt.xz")) == (TEXTS, LABELS)


def test_labels_as_fasttext_has_them(write):
    path = write("__label__pos good , good\n__label__neg\tbad\n")
    assert read_labelled(path) == (["good , good", "bad"], ["pos", "neg"])


def test_csv(write):
    content = 'pos,"good, ""very"" good\nfilm"\nneg,bad\nneg,worse\n'
    assert read_labelled(write(content, "set.csv"))[0][0] == 'good, "very" good\nfilm'
    headed = "id,text,label\n1,good,pos\n2,bad,neg\n"
    assert read_labelled(write(headed, "set.csv")) == (["good", "bad"], ["pos", "neg"])
    for column in ("id", "0"):
        config = DataConfig(text_column=column)
        assert read_labelled(write(headed, "set.csv"), config)[0] == ["1", "2"]


def test_a_text_keeps_what_only_looks_like_a_line_end(write):
    assert read_labelled(write("ham\tone\u2028two\n")) == (["one\u2028two"], ["ham"])


def test_lines_are_numbered_as_in_the_file(write):
    config = DataConfig(corpus=str(write("\n\n1 one\n\n0 two\n")))
    (file,) = resolve(config, None)["train"].files
    assert list(labelled_texts(file, config)) == [
        LabelledText("1", "one", 3),
        LabelledText("0", "two", 5),
    ]


def test_more_than_is_looked_at_first(write):
    rows = [(f"text {i}", f"label {i % 3}") for i in range(2500)]
    texts, labels = read_labelled(write("".join(f"{t}\t{c}\n" for t, c in rows)))
    assert list(zip(texts, labels, strict=True)) == rows


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("1\tgood\nbad\n", "set.txt", "set.txt, line 2: wanted a label and a text, in 2 columns"),
        ("1\tgood\n0\t \n", "set.txt", "line 2: wanted a label and a text"),
        ("good\n", "set.tsv", "line 1: wanted a label and a text, in 2 columns. Received: 'good'"),
        ("__label__x a\nb\n", "set.txt", "line 2: wanted __label__x and a text. Received: 'b'"),
        ("__label__x __label__y a\n", "set.txt", "line 1: wanted __label__x and a text"),
        ("__label__x a __label__y\n", "set.txt", "line 1: wanted __label__x and a text"),
        ("0 good\nbad film\n", "set.txt", "line 2: wanted a whole number as label and a text"),
        ("just a text\n", "set.txt", "line 1: wanted a whole number as label"),
        ("", "set.txt", "holds no labelled text. Give one a line: label, tab, text; text"),
        ("x\t" + "long " * 99 + "\ny\n", "set.txt", "line 2"),
        ("a,b,c\n", "set.csv", "line 1: wanted a label and a text, in 2 columns"),
        ("pos,good\nneg,bad,worse\n", "set.csv", "line 2: wanted .* Received: 'neg,bad,worse'"),
        ("id,sentence,label\n", "set.csv", r"no column 'text' \(id, sentence, label\). Name the"),
        ("id,text,label\n1,good\n", "set.csv", "line 2: wanted a label and a text, in 3 columns"),
        ('pos,"good\n', "set.csv", "line 1 is not CSV"),
        (b"1 \xff\n", "set.txt", "byte 2 .*is not utf-8"),
        (b"no xz", "set.txt.xz", "damaged .xz data"),
    ],
)
def test_what_is_wrong(write, content, name, message):
    with pytest.raises(UserError, match=message):
        read_labelled(write(content, name))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="nowhere.tsv: there is no such file. Give one that"):
        read_labelled(tmp_path / "nowhere.tsv")


def test_the_documentation_of_python_has_no_labels():
    config = DataConfig()
    file = resolve(config, None)["train"].files[0]
    with pytest.raises(UserError, match="python_docs has no labels. Name a file .* --corpus"):
        labelled_texts(file, config)
