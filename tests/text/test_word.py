"""The three ways to split words, by hand-written expectations and a second implementation."""

import builtins
import itertools
import unicodedata

import pytest
import regex
from nasty_strings import NASTY_STRINGS, random_strings

from tflm.errors import UserError
from tflm.text import word
from tflm.text.tokenizer import TokenizerConfig, load, train

TEXT = "Don't panic, snake_case: x1 = 3.14 (naïve)!\n\n“Größe” 日本語 русский हिन्दी"


def words_of(tokenizer, text):
    return [tokenizer.piece(i) for i in tokenizer.encode(text)]


def test_split_words():
    tokenizer = train(TokenizerConfig(kind="word"), [TEXT])
    expected = "Don ' t panic , snake_case : x1 = 3 . 14 ( naïve ) ! “ Größe ” 日本語 русский हिन्दी"
    assert words_of(tokenizer, TEXT) == expected.split(" ")
    assert not tokenizer.lossless
    assert tokenizer.encode("panic PANIC") == [tokenizer.token_id("panic"), 1]


def test_split_words_is_what_named_unicode_classes_give():
    """The `regex` package's own \\p classes and Python's white space, over all of Unicode."""
    pattern = regex.compile(r"[\p{L}\p{M}\p{N}_]+|[^\p{L}\p{M}\p{N}_]")
    texts = [*NASTY_STRINGS, *random_strings(500, seed=5)]
    tokenizer = train(TokenizerConfig(kind="word", vocabulary_size=10**6), texts)
    for text in texts:
        expected = [found for found in pattern.findall(text) if not found.isspace()]
        assert [tokenizer.pieces[i - 4] for i in tokenizer.encode(text)] == expected


def test_letters_agree_with_unicodedata_where_it_knows_the_character():
    letters = {c for first, last in word.letter_ranges() for c in range(first, last + 1)}
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category not in ("Cn", "Cs"):
            assert (code in letters) == (category[0] in "LMN" or code == ord("_"))


def test_split_words_decodes_readably():
    tokenizer = train(TokenizerConfig(kind="word"), [TEXT])
    text = "Don't panic, (naïve)! “Größe” 日本語"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode([1, *tokenizer.encode("panic")]) == "<unk> panic"


def test_split_whitespace_keeps_lines_and_reads_unk():
    text = " = Title = \n \n The <unk> of x , y .\r\n"
    tokenizer = train(TokenizerConfig(kind="word", split="whitespace"), [text, "\u3000The"])
    ids = tokenizer.encode(text)
    newline = tokenizer.token_id("\n")
    assert tokenizer.piece(newline) == "<U+000A>"
    title = tokenizer.token_id("Title")
    equals = tokenizer.token_id("=")
    assert ids[:5] == [equals, title, equals, newline, newline]
    assert ids[6] == 1
    assert ids[-1] == newline
    assert tokenizer.decode(ids) == "= Title =\n\nThe <unk> of x , y .\n"
    # The other special names are no words either, and are unknown rather than special.
    tokenizer = train(TokenizerConfig(kind="word", split="whitespace"), ["a <s> <s> <pad> </s>"])
    assert tokenizer.vocabulary_size == 5
    assert tokenizer.encode("<s> a <pad> </s> <unk>") == [1, 4, 1, 1, 1]


def test_rare_words_and_the_limit_of_the_vocabulary():
    texts = ["b b b a a c c d"]
    tokenizer = train(TokenizerConfig(kind="word"), texts)
    assert tokenizer.pieces == ["b", "a", "c", "d"]  # by count, then by code point
    assert train(TokenizerConfig(kind="word", min_count=2), texts).pieces == ["b", "a", "c"]
    tokenizer = train(TokenizerConfig(kind="word", vocabulary_size=6), texts)
    assert tokenizer.pieces == ["b", "a"]
    assert tokenizer.vocabulary_size == 6
    assert tokenizer.encode("a b c d") == [5, 4, 1, 1]


def test_split_jieba(tmp_path):
    jieba = pytest.importorskip("jieba")
    text = "我来到北京清华大学。 hello world, 小明硕士毕业于中国科学院计算所"
    tokenizer = train(TokenizerConfig(kind="word", split="jieba"), [text])
    segmented = [w for w in jieba.lcut(text) if w.strip()]
    assert "清华大学" in segmented
    assert words_of(tokenizer, text) == segmented
    expected = "我来到北京清华大学。hello world,小明硕士毕业于中国科学院计算所"
    assert tokenizer.decode(tokenizer.encode(text)) == expected
    tokenizer.save(tmp_path)
    assert load(tmp_path).encode(text) == tokenizer.encode(text)
    assert load(tmp_path).fingerprint() == tokenizer.fingerprint()


def test_jieba_in_the_graph_says_what_to_do_instead():
    tokenizer = word.WordTokenizer(["我"], "jieba", [])
    with pytest.raises(UserError) as error:
        tokenizer.in_graph()
    assert str(error.value) == (
        "jieba has no TensorFlow op, so split='jieba' cannot run inside a graph; feed token ids, "
        "or train with kind='sentencepiece' or 'character'."
    )


def test_missing_jieba_names_the_extra(monkeypatch):
    original = builtins.__import__

    def without_jieba(name, *arguments, **keywords):
        if name == "jieba":
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    word._jieba.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_jieba)
    with pytest.raises(UserError) as error:
        train(TokenizerConfig(kind="word", split="jieba"), ["我"])
    assert str(error.value) == (
        "split='jieba' needs the package jieba, which is not installed; install it: "
        "pip install 'tflm[zh]'."
    )


def test_ids_do_not_depend_on_the_unicode_of_the_running_python(monkeypatch, tmp_path):
    tokenizer = train(TokenizerConfig(kind="word"), [TEXT])
    tokenizer.save(tmp_path)
    monkeypatch.setattr(word, "letter_ranges", lambda: [[97, 98]])
    assert load(tmp_path).encode(TEXT) == tokenizer.encode(TEXT)


def test_patterns_mean_the_same_in_python():
    assert word.re2_to_python(r"[\x{41}-\x{10ffff}] \d") == r"[\U00000041-\U0010ffff] \d"
    for patterns in word.SPACING.values():
        for pattern, replacement in itertools.chain(patterns):
            assert regex.compile(word.re2_to_python(pattern)).groups >= replacement.count("\\")
