"""FastText's vectors inside the graph, against its definition in plain Python and numpy."""

import numpy as np
import pytest
import tensorflow as tf

from export import saved_model, subword_graph
from tests.export import fake_run
from tflm.text.normalize import normalize
from tflm.text.subwords import Subwords

WORDS = [
    *("a", "ab", "unknown", "don't", "<", ">", "<>", "a<b>c", "_", "word" * 30),
    *("café", "ñandú", "Straße", "naïve", "e\u0301", "\u0301", "ﬁ"),
    *("中", "中文", "词向量在图中", "日本語", "한국어", "Привет", "עברית", "हिन्दी"),
    *("😀", "x😀y", "👩‍👩‍👧", "🇩🇪", "\U0010ffff", "\x00", "a\x00b", "\ufffd"),
]


def ngrams_of(word: str, min_n: int, max_n: int) -> list[str]:
    """Dictionary::computeSubwords of fastText, character by character."""
    word = f"<{word}>"
    found = []
    for i in range(len(word)):
        for n in range(1, max_n + 1):
            if i + n > len(word):
                break
            if n >= min_n and not (n == 1 and (i == 0 or i + n == len(word))):
                found.append(word[i : i + n])
    return found


def fnv1a(text: str) -> int:
    """Dictionary::hash of fastText: `h ^ uint32_t(int8_t(byte))`, times the prime, in 32 bits."""
    value = 2166136261
    for byte in text.encode():
        value ^= byte if byte < 128 else byte - 256 + 2**32
        value = value * 16777619 % 2**32
    return value


def vector_of(run, word: str) -> np.ndarray:
    """The mean of the word's own row, where it is known, and of its n-grams' rows, in float64."""
    config, table = run.model.config, run.model.input_embedding.numpy().astype("float64")
    token_id = run.tokenizer.ids.get(word)
    rows = [] if token_id is None else [table[token_id]]
    ngrams = [] if word == "</s>" else ngrams_of(word, config.min_n, config.max_n)
    rows += [table[config.vocabulary_size + fnv1a(ngram) % config.buckets] for ngram in ngrams]
    return np.mean(rows, axis=0) if rows else np.zeros(config.hidden_dim)


@pytest.mark.parametrize(("min_n", "max_n"), [(3, 6), (1, 2), (1, 1), (2, 9), (5, 5)])
def test_ngrams_and_buckets_are_those_of_fasttext(min_n, max_n):
    graph = subword_graph.SubwordsInGraph(Subwords(min_n, max_n, 1009), np.zeros((1009, 2), "f4"))
    found = [[n.decode() for n in row] for row in graph.ngrams(tf.constant(WORDS)).to_list()]
    for word, ngrams in zip(WORDS, found, strict=True):
        assert sorted(ngrams) == sorted(ngrams_of(word, min_n, max_n))
    buckets = graph.bucket_ids(tf.constant(WORDS)).to_list()
    assert buckets == [[fnv1a(ngram) % 1009 for ngram in ngrams] for ngrams in found]


def test_the_hash_of_fasttext():
    """Numbers that fastText's own `Dictionary::hash` gives; plain FNV-1a gives others for the last two."""
    hashes = subword_graph.fnv1a(tf.constant(["", "a", "<wh", "é", "中文"]), 8)
    assert hashes.numpy().tolist() == [fnv1a(text) for text in ("", "a", "<wh", "é", "中文")]
    assert hashes.numpy().tolist()[:2] == [0x811C9DC5, 0xE40C292C]  # of the FNV reference
    plain = ((2166136261 ^ 0xC3) * 16777619 % 2**32 ^ 0xA9) * 16777619 % 2**32
    assert hashes[3] != plain


@pytest.fixture(scope="module")
def run():
    return fake_run.word_run("fasttext", "skip_gram", buckets=2000, hidden_dim=48)


@pytest.fixture(scope="module")
def loaded(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fasttext")
    saved_model.write(run, folder, "none", None)
    loaded = tf.saved_model.load(str(folder / "1"))
    loaded.folder = folder / "1"
    return loaded


def test_a_string_gives_the_vector_of_its_word(run, loaded):
    assert set(loaded.signatures) == {"embed", "nearest", "embed_text", "nearest_text"}
    known = run.tokenizer.pieces
    assert "cafés" in known and "日本語" in known and "</s>" not in known
    words = [*known, *(w for w in WORDS if not w.isspace()), "</s>", "foxes?"]
    got = loaded.signatures["embed_text"](text=tf.constant(words))["vectors"]
    expected = np.stack([vector_of(run, word) for word in words])
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.abs(expected[words.index("unknown")]).max() > 0.01
    assert not expected[words.index("</s>")].any()


def test_a_text_is_the_average_of_its_words(run, loaded):
    texts = ["", "  ", "the unknown", " the\u3000中文词  😀 ", "the", b"\xff bad"]
    got = loaded.signatures["embed_text"](text=tf.constant(texts))["vectors"].numpy()
    assert not got[:2].any()
    np.testing.assert_allclose(
        got[2], (vector_of(run, "the") + vector_of(run, "unknown")) / 2, atol=1e-6
    )
    several = np.mean([vector_of(run, word) for word in ("the", "中文词", "😀")], axis=0)
    np.testing.assert_allclose(got[3], several, atol=1e-6)
    np.testing.assert_allclose(got[4], vector_of(run, "the"), atol=1e-6)
    mended = np.mean([vector_of(run, word) for word in ("\ufffd", "bad")], axis=0)
    np.testing.assert_allclose(got[5], mended, atol=1e-6)
    none = loaded.signatures["embed_text"](text=tf.constant([], tf.string))["vectors"]
    assert none.shape == (0, 48)


def test_ids_give_composed_vectors(run, loaded):
    ids = [run.tokenizer.ids[word] for word in ("the", "straße", "😀😀")]
    got = loaded.signatures["embed"](token_ids=tf.constant([ids]))["vectors"][0]
    expected = [vector_of(run, word) for word in ("the", "straße", "😀😀")]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_unknown_words_have_neighbours(run, loaded):
    known = run.tokenizer.pieces
    table = np.stack([vector_of(run, word) for word in known])
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    texts = ["foxess", "the", "中文词"]
    got = loaded.signatures["nearest_text"](text=tf.constant(texts), k=tf.constant(4))
    for row, text in enumerate(texts):
        vector = vector_of(run, text)
        cosines = unit @ (vector / np.linalg.norm(vector))
        if text in known:
            cosines[known.index(text)] = -2
        best = np.argsort(-cosines)[:4]
        assert [p.decode() for p in got["pieces"][row].numpy()] == [known[i] for i in best]
        np.testing.assert_allclose(got["similarity"][row], cosines[best], atol=1e-6)
    assert got["pieces"][0, 0] == b"foxes"


def test_the_split_into_words_and_the_normalization_are_the_tokenizers(tmp_path):
    run = fake_run.word_run(
        "fasttext", "cbow", split="words", normalization=("lowercase",), buckets=300, min_n=2
    )
    saved_model.write(run, tmp_path, "none", None)
    call = tf.saved_model.load(str(tmp_path / "1")).signatures
    got = call["embed_text"](text=tf.constant(["The Foxy-CAFÉ!", "ÜBER"]))["vectors"]
    words = [["the", "foxy", "-", "café", "!"], ["über"]]
    assert normalize("The Foxy-CAFÉ!", ("lowercase",)) == "the foxy-café!"
    expected = [np.mean([vector_of(run, word) for word in row], axis=0) for row in words]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_without_ngrams_an_unknown_word_is_the_unknown_token(tmp_path):
    run = fake_run.word_run("fasttext", "skip_gram", max_n=0, buckets=1)
    saved_model.write(run, tmp_path, "none", None)
    call = tf.saved_model.load(str(tmp_path / "1")).signatures
    got = call["embed_text"](text=tf.constant(["nowhere"]))["vectors"]
    np.testing.assert_array_equal(got[0], run.model.input_embedding.numpy()[1])


def test_words_split_by_jieba_are_given_apart(tmp_path):
    pytest.importorskip("jieba")
    run = fake_run.word_run("fasttext", "skip_gram", split="jieba", buckets=300, min_n=1, max_n=2)
    saved_model.write(run, tmp_path, "none", None)
    call = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert set(call) == {"embed", "nearest", "embed_split_text", "nearest_split_text"}
    assert "中文" in run.tokenizer.pieces
    got = call["embed_split_text"](text=tf.constant(["中文 词向量", "中文"]))["vectors"]
    known, unknown = vector_of(run, "中文"), vector_of(run, "词向量")
    np.testing.assert_allclose(got, [(known + unknown) / 2, known], atol=1e-6)
