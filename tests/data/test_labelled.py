"""Labelled texts in the forms in which data sets are published, with lines of the real ones."""

import lzma

import pytest

from tflm.data.corpora import DataConfig, resolve
from tflm.data.labelled import LabelledText, labelled_examples, labelled_texts, read_labelled
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


def examples(path, **settings):
    config = DataConfig(corpus=str(path), **settings)
    (file,) = resolve(config, None)["train"].files
    found = list(labelled_examples(file, config))
    if any(example.second for example in found):
        return [(e.labels, e.text, e.second) for e in found]
    return [(e.labels, e.text) for e in found]


def test_jsonl(write):
    content = '{"text": " good", "label": 1, "id": 7}\n\n{"text": "bad", "Label": "neg"}\n'
    assert read_labelled(write(content, "set.jsonl")) == (["good", "bad"], ["1", "neg"])
    content = '{"review": "good", "stars": 5}\n'
    config = DataConfig(text_field="review", label_column="stars")
    assert read_labelled(write(content, "set.jsonl"), config) == (["good"], ["5"])


PAIRS = [(("1",), "one text", "other"), (("0",), "a", "b")]


@pytest.mark.parametrize(
    ("content", "name", "settings"),
    [
        (
            "index\tsentence1\tsentence2\tlabel\n0\tone text\tother\t1\n1\ta\tb\t0\n",
            "set.tsv",
            {"text_column": "sentence1", "second_text_column": "sentence2"},
        ),
        (
            "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t8\t9\tone text\tother\n0\t8\t9\ta\tb\n",
            "set.tsv",
            {
                "label_column": "Quality",
                "text_column": "#1 String",
                "second_text_column": "#2 String",
            },
        ),
        (
            "1,one text,other\n0,a,b\n",
            "set.csv",
            {"label_column": "0", "text_column": "1", "second_text_column": "2"},
        ),
        (
            '{"text": "one text", "b": "other", "label": 1}\n{"text": "a", "b": "b", "label": 0}\n',
            "set.jsonl",
            {"second_text_column": "b"},
        ),
    ],
)
def test_pairs(write, content, name, settings):
    assert examples(write(content, name), **settings) == PAIRS


def test_a_table_without_names_of_columns(write):
    """CoLA: the label in the second of four columns, of which the third is empty."""
    path = write("gj04\t1\t\tThe sea.\ngj04\t0\t*\tThe see.\n", "set.tsv")
    config = DataConfig(label_column="1", text_column="3")
    assert read_labelled(path, config) == (["The sea.", "The see."], ["1", "0"])
    path = write("x\tlabel\t\ttext\ngj04\t1\t\tThe sea.\n", "set.tsv")
    assert read_labelled(path, config) == (["The sea."], ["1"])
    path = write("good\tpos\nbad\tneg\nworse\tneg\n")
    assert read_labelled(path, DataConfig(label_column="1"))[1] == ["pos", "neg", "neg"]


SEVERAL = [(("a", "b"), "one text"), (("c",), "other")]


@pytest.mark.parametrize(
    ("content", "name", "settings"),
    [
        ("__label__a __label__b one text\n__label__c other\n", "set.txt", {}),
        ("a, b\tone text\nc\tother\n", "set.txt", {"label_separator": ","}),
        ("labels,text\na|b,one text\nc,other\n", "set.csv", {"label_separator": "|"}),
        (
            '{"text": "one text", "labels": ["a", "b"]}\n{"text": "other", "labels": ["c"]}\n',
            "set.jsonl",
            {},
        ),
        (
            '{"text": "one text", "label": "a b"}\n{"text": "other", "label": "c"}\n',
            "set.jsonl",
            {"label_separator": " "},
        ),
    ],
)
def test_several_labels(write, content, name, settings):
    assert examples(write(content, name), **settings) == SEVERAL


def test_no_label_where_there_may_be_several(write):
    settings = {"label_separator": ","}
    path = write("text\tlabel\none\ta,b\ntwo\t\n")
    assert examples(path, **settings) == [(("a", "b"), "one"), ((), "two")]
    path = write("label\ttext\n\ttwo\na\tone\n")
    assert examples(path, **settings) == [((), "two"), (("a",), "one")]
    path = write('{"text": "one", "labels": []}', "set.jsonl")
    assert examples(path) == [((), "one")]


def test_who_learns_from_single_labels_says_so(write):
    path = write("__label__a one\n__label__a __label__b two\n")
    with pytest.raises(UserError, match="line 2: wanted .* one label for each. Received: '__labe"):
        read_labelled(path)
    for field, what in (("second_text_column", "pairs of"), ("label_separator", "several labels")):
        with pytest.raises(UserError, match=f"--config.data.{field} is for {what} .*Received: 'x'"):
            read_labelled(path, DataConfig(**{field: "x"}))


@pytest.mark.parametrize(
    ("content", "name", "settings", "message"),
    [
        ("__label__a b\n", "set.txt", {"second_text_column": "x"}, "has no columns, so that --co"),
        ("a\tb\tc\n", "set.tsv", {"second_text_column": "2"}, "line 1: no column is called label"),
        (
            "label\ta\tb\n",
            "set.tsv",
            {"text_column": "a", "second_text_column": "c"},
            r"no column 'c' \(label, a, b\). Name the one that holds the second text with --config",
        ),
        (
            "label\ta\tb\n1\tx\t \n",
            "set.csv",
            {"label_column": "9"},
            "no column '9' .*that holds the label with --config.data.label_column, or give its",
        ),
        (
            "label,a,b\n1,x, \n",
            "set.csv",
            {"text_column": "a", "second_text_column": "b"},
            "line 2: wanted a label and two texts, in 3 columns. Received: '1,x, '",
        ),
        (
            '{"text": "a"}\n',
            "set.jsonl",
            {},
            "line 1: wanted a label, or a list of them, as 'label'",
        ),
        ('{"text": "a", "label": 0.5}\n', "set.jsonl", {}, "line 1: wanted a label, or a list"),
        ('{"text": "a", "label": " "}\n', "set.jsonl", {}, "line 1: wanted a label as 'label'"),
        ('{"text": " ", "label": 1}\n', "set.jsonl", {}, "line 1: wanted a text that is not empty"),
    ],
)
def test_what_is_wrong_with_pairs_and_several_labels(write, content, name, settings, message):
    with pytest.raises(UserError, match=message):
        examples(write(content, name), **settings)


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
