"""gensim and the fastText package read what is written here, and what they write is read here, with equal vectors.

For fastText the package is fasttext-wheel; others of the same module name have changed what a word's vector is.
"""

import numpy as np
import pytest

from tflm.vectors import FORMATS, WordVectors, read, write

TEXT = ["the cat sat on the mat", "a naïve 猫 sat on 中文", "dogs and cats and 😀 sat"] * 60
UNKNOWN = ["catlike", "猫猫", "naïveté", "x", "😀😀", "the dog"]
GENSIM = {
    "word2vec_text": {},
    "word2vec_binary": {"binary": True},
    "glove": {"no_header": True},
    "fasttext_vec": {},
}


@pytest.fixture(scope="module")
def gensim():
    return pytest.importorskip("gensim")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def vectors():
    words = ["the", "中文", "naïve", "😀", "</s>", "3", "a\u00a0b"]
    words += [f"word{i}" for i in range(493)]
    table = np.random.default_rng(5).normal(size=(500, 30)).astype("float32")
    table[2] *= 1e-15
    return WordVectors(words, table)


def test_there_is_a_test_for_every_format_that_is_written():
    assert set(GENSIM) == {name for name, one in FORMATS.items() if one.write}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", GENSIM)
def test_gensim_reads_what_is_written(gensim, tmp_path, vectors, name, packed):
    path = str(tmp_path / f"vectors{packed}")
    write(path, vectors, name)
    theirs = gensim.models.KeyedVectors.load_word2vec_format(path, **GENSIM[name])
    assert theirs.index_to_key == vectors.words
    np.testing.assert_array_equal(theirs.vectors, vectors.table)
    ours = read(path)
    for word in vectors.words[:40]:
        expected = theirs.most_similar(word, topn=10)
        found = ours.nearest(word, 10)
        assert [word for word, _ in found] == [word for word, _ in expected]
        np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], atol=1e-6)


@pytest.mark.parametrize("binary", [False, True])
def test_what_gensim_writes_is_read(gensim, tmp_path, vectors, binary):
    theirs = gensim.models.KeyedVectors(30)
    theirs.add_vectors(vectors.words, vectors.table)
    theirs.save_word2vec_format(str(tmp_path / "file"), binary=binary)
    ours = read(tmp_path / "file")
    assert ours.words == theirs.index_to_key
    np.testing.assert_array_equal(ours.table, vectors.table)
    theirs.save_word2vec_format(str(tmp_path / "glove"), write_header=False)
    np.testing.assert_array_equal(read(tmp_path / "glove").table, vectors.table)


def test_a_model_that_gensim_writes_is_read(gensim, tmp_path):
    model = gensim.models.FastText(
        [line.split() for line in TEXT],
        vector_size=16,
        min_count=1,
        bucket=300,
        min_n=3,
        max_n=5,
        epochs=3,
        workers=1,
        seed=1,
    )
    path = str(tmp_path / "model.bin")
    gensim.models.fasttext.save_facebook_model(model, path)
    ours = read(path)
    assert ours.words == model.wv.index_to_key
    counts = [model.wv.get_vecattr(word, "count") for word in ours.words]
    assert ours.counts.tolist() == counts
    np.testing.assert_array_equal(ours.subword_rows.own, model.wv.vectors_vocab)
    np.testing.assert_array_equal(ours.subword_rows.buckets, model.wv.vectors_ngrams)
    np.testing.assert_allclose(ours.table, model.wv.vectors, rtol=1e-5, atol=1e-7)
    for word in UNKNOWN:
        np.testing.assert_allclose(ours.vector(word), model.wv[word], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "config",
    [
        {"model": "skipgram", "minn": 3, "maxn": 6, "bucket": 500},
        {"model": "cbow", "minn": 1, "maxn": 2, "bucket": 50},
        {"model": "skipgram", "minn": 0, "maxn": 0},
    ],
    ids=str,
)
def test_a_model_of_fasttext(corpus, tmp_path, config):
    fasttext = pytest.importorskip("fasttext")
    theirs = fasttext.train_unsupervised(
        corpus, dim=12, minCount=1, epoch=3, thread=1, verbose=0, **config
    )
    theirs.save_model(str(tmp_path / "model.bin"))
    ours = read(tmp_path / "model.bin")
    words, counts = theirs.get_words(include_freq=True)
    assert ours.words == words and ours.counts.tolist() == counts.tolist()
    rows = theirs.get_input_matrix()
    for word in words:
        np.testing.assert_array_equal(ours.vector(word), theirs.get_word_vector(word), word)
    if config["maxn"] == 0:
        np.testing.assert_array_equal(ours.table, rows)
        assert ours.subword_rows is None and "catlike" not in ours
        return
    np.testing.assert_array_equal(ours.subword_rows.own, rows[: len(words)])
    np.testing.assert_array_equal(ours.subword_rows.buckets, rows[len(words) :])
    for word in UNKNOWN:
        np.testing.assert_array_equal(ours.vector(word), theirs.get_word_vector(word), word)
    expected = theirs.get_nearest_neighbors("cat", 5)
    found = ours.nearest("cat", 5)
    assert [word for word, _ in found] == [word for _, word in expected]
    np.testing.assert_allclose([c for _, c in found], [c for c, _ in expected], atol=1e-5)


@pytest.mark.parametrize("config", [{}, {"wordNgrams": 2, "bucket": 77}, {"maxn": 3, "bucket": 9}])
def test_a_classifier_of_fasttext(tmp_path, config):
    fasttext = pytest.importorskip("fasttext")
    text = tmp_path / "labelled.txt"
    lines = [f"__label__{i % 2} {line}\n" for i, line in enumerate(TEXT)]
    text.write_text("".join(lines), encoding="utf-8")
    theirs = fasttext.train_supervised(str(text), dim=6, epoch=2, thread=1, verbose=0, **config)
    theirs.save_model(str(tmp_path / "model.bin"))
    ours = read(tmp_path / "model.bin")
    assert ours.words == theirs.get_words() and "__label__0" not in ours.ids
    for word in ours.words:
        np.testing.assert_array_equal(ours.vector(word), theirs.get_word_vector(word))
    assert ("catlike" in ours) == ("maxn" in config)


def test_a_quantized_classifier_is_refused(tmp_path):
    fasttext = pytest.importorskip("fasttext")
    from tflm.errors import UserError

    text = tmp_path / "labelled.txt"
    words = [f"__label__{i % 2} w{i} v{i % 7}\n" for i in range(600)]
    text.write_text("".join(words), encoding="utf-8")
    model = fasttext.train_supervised(str(text), dim=4, epoch=1, thread=1, verbose=0)
    model.quantize()
    model.save_model(str(tmp_path / "model.ftz"))
    with pytest.raises(UserError, match=r"model.ftz: a quantized model \(.ftz\) does not hold"):
        read(tmp_path / "model.ftz")
