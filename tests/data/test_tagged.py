"""Tagged words in the forms in which data sets are published, with lines of the real ones."""

import json
import lzma

import pytest

from tflm.data.corpora import DataConfig, resolve
from tflm.data.tagged import TaggedSentence, read_tagged, tagged_sentences
from tflm.errors import UserError

WORDS = [("Redondo", "Beach", "."), ("#", "O")]
TAGS = [("B-location", "I-location", "O"), ("O", "B-person")]


@pytest.fixture
def write(tmp_path):
    def write(content, name="set.conll"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def pairs(path, **settings):
    found = read_tagged(path, DataConfig(**settings))
    return [s.words for s in found], [s.tags for s in found]


PLAIN = "Redondo\tB-location\nBeach\tI-location\n.\tO\n\n#\tO\nO\tB-person\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\n\n" + PLAIN.replace("\n\n", "\n\t\n\n \n") + "\n",  # WNUT-17 has lines of one tab
        PLAIN.replace("\t", " ").replace("\n", "\r\n"),
        PLAIN.replace("\t", "  NN I-NP "),  # CoNLL-2003 has four columns
        "-DOCSTART-\tO\n\n" + PLAIN,
        "# sent_id = 1\n# text = Redondo Beach.\n" + PLAIN.replace("\n\n", "\n\n# newpar\n"),
    ],
)
def test_forms(write, content):
    assert pairs(write(content)) == (WORDS, TAGS)
    assert pairs(write(lzma.compress(content.encode()), "set.conll.xz")) == (WORDS, TAGS)


def test_jsonl(write):
    rows = [{"tokens": w, "tags": t, "id": 1} for w, t in zip(WORDS, TAGS, strict=True)]
    content = "\n".join([*map(json.dumps, rows), json.dumps({"tokens": [], "tags": []})])
    assert pairs(write(content, "set.jsonl")) == (WORDS, TAGS)


def test_columns_by_number(write):
    path = write("-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n")
    assert pairs(path) == ([("EU", "rejects")], [("I-ORG", "O")])
    assert pairs(path, tag_column=1) == ([("EU", "rejects")], [("NNP", "VBZ")])
    assert pairs(path, word_column=-4, tag_column=-2) == ([("EU", "rejects")], [("I-NP", "I-VP")])


def test_a_hash_is_a_word_where_spaces_divide(write):
    assert pairs(write("# O\n#tag O\n# O\n")) == ([("#", "#tag", "#")], [("O",) * 3])


def test_ontonotes(write):
    """conll-2012: the names are in column 10, and a sentence has a column for each of its verbs."""
    content = (
        "#begin document (bc/cctv/00/cctv_0000); part 000\n"
        "bc/cctv 0 0 In IN (TOP(S(PP* - - - - * (ARG* -\n"
        "bc/cctv 0 1 the DT (NP* - - - - (DATE* * -\n"
        "bc/cctv 0 2 summer NN *) - - - - *) * -\n"
        "bc/cctv 0 3 Xi NNP (NP*) - - - - (PERSON) *) -\n\n"
        "bc/cctv 0 0 Hong NNP (TOP* - - - - (GPE* -\n"
        "bc/cctv 0 1 Kong NNP *) - - - - *) -\n"
        "#end document\n"
    )
    words, tags = pairs(write(content), word_column=3, tag_column=10)
    assert words == [("In", "the", "summer", "Xi"), ("Hong", "Kong")]
    assert tags == [("O", "B-DATE", "I-DATE", "B-PERSON"), ("B-GPE", "I-GPE")]


def test_weibo_has_the_place_of_each_character(write):
    """Also of a digit, of the eleventh in a long word, and of a character that was lost as two halves."""
    content = (
        "科0\tO\n技1\tO\n70\tO\n91\tO\n\ufffd\ufffd0\tO\n\n李0\tB-PER.NAM\n开1\tI-PER.NAM\n复2\tI-PER.NAM\n#0\tO\n\n"
        + "".join(f"{char}{place}\tO\n" for place, char in enumerate("http://t.cn0"))
    )
    words, tags = pairs(write(content))
    assert words[0] == ("科", "技", "7", "9", "\ufffd\ufffd")
    assert words[1] == ("李", "开", "复", "#")
    assert words[2] == tuple("http://t.cn0")
    assert tags[1] == ("B-PER.NAM", "I-PER.NAM", "I-PER.NAM", "O")


def test_words_that_only_end_in_digits_are_kept(write):
    for words in (("B2", "C3"), ("a0", "b1", "c"), ("a0", "b2"), ("2024",)):
        path = write("".join(f"{word}\tO\n" for word in words))
        assert pairs(path)[0] == [words]


def test_sentences_as_text():
    english = TaggedSentence(("I", "'m", "here", "."), ("O",) * 4, 1)
    assert english.text == "I 'm here ."
    chinese = TaggedSentence(("用", "M", "i", "的", "2"), ("O",) * 5, 1)
    assert chinese.text == "用Mi的2"


def test_lines_are_numbered_as_in_the_file(write):
    config = DataConfig(corpus=str(write("\n# x\n\na\tO\nb\tO\n\n# y\nc\tO\n")))
    (file,) = resolve(config, None)["train"].files
    assert [s.line for s in tagged_sentences(file, config)] == [4, 8]


LONG = "".join(f"a0\tO\n节{i % 2}\tO\n\n" for i in range(0, 300, 2))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a\tO\nb\n", "set.conll", r"set.conll, line 2: wanted a word and a tag, in columns 0 and"),
        ("a\tO\n\tO\n", "set.conll", "line 2: wanted a word and a tag, .*Received: '\\\\tO'"),
        ("a\tO\nb\t\n", "set.conll", "line 2: wanted a word and a tag"),
        ("a\tX\tO\nb\tO\n", "set.conll", r"line 2: .*columns 0 and -1 of 3 \(--config.data.word_c"),
        ("a\tO\n# no comment\n", "set.conll", "line 2: wanted .* Received: '# no comment'"),
        ("a\n", "set.conll", "line 1: wanted a word and a tag"),
        ("\n \n", "set.conll", "holds no tagged word. Give a word and its tag a line"),
        (LONG + "x\tO\n", "set.conll", "line 451: wanted a character and its place .*eived: 'x'"),
        ("a (X*\nb (Y*\n", "set.conll", r"line 2: wanted a tag such as \(ORG\*.*Received: '\(Y\*'"),
        ('{"tokens": ["a"], "tags": []}', "set.jsonl", "line 1 has 1 tokens, but 0 tags"),
        ('{"tokens": ["a"]}', "set.jsonl", "line 1: 'tags' must be a list of words, None is not"),
        ('{"tokens": "a", "tags": ["O"]}', "set.jsonl", "'tokens' must be a list of words, 'a' is"),
        ('{"tokens": [""], "tags": ["O"]}', "set.jsonl", r"must be a list of words, \[''\] is not"),
        (b"a\tO\n\xff\tO\n", "set.conll", "byte 4 .*is not utf-8"),
    ],
)
def test_what_is_wrong(write, content, name, message):
    with pytest.raises(UserError, match=message):
        read_tagged(write(content, name))


def test_a_column_that_is_not_there(write):
    message = r"line 1: wanted a word and a tag, in columns 0 and 3 of 2 .* Received: 'a\\tO'"
    with pytest.raises(UserError, match=message):
        read_tagged(write("a\tO\n"), DataConfig(tag_column=3))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such file"):
        read_tagged(tmp_path / "nowhere")
    config = DataConfig()
    with pytest.raises(UserError, match="python_docs has no tags. Name a file .* --corpus"):
        tagged_sentences(resolve(config, None)["train"].files[0], config)
