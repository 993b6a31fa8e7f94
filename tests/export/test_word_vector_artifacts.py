"""Word vectors of every family and objective: written, proved, measured on similarity sets, judged."""

import itertools
import json

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from export import artifacts, formats, lengths, manifest, run_kind, saved_model, tflite
from export import similarity as similarities
from export.prove_word_vectors import texts_and_vectors
from export.thresholds import THRESHOLDS
from tests.export import fake_run
from tests.export.test_tflite import runners_of
from tflm import vectors
from tflm.errors import UserError

RUNS = {
    "skip_gram": ("word2vec", "skip_gram", {}),
    "cbow": ("word2vec", "cbow", {}),
    "fasttext": ("fasttext", "skip_gram", {"buckets": 400, "hidden_dim": 64}),
    "fasttext_cbow": ("fasttext", "cbow", {"buckets": 400}),
    "glove": ("glove", "glove", {}),
}
VECTORS_FILES = {
    "word2vec_text": "vectors.word2vec.txt",
    "word2vec_binary": "vectors.bin",
    "glove": "vectors.glove.txt",
    "fasttext_vec": "vectors.vec",
}


def word_run(name):
    family, objective, fields = RUNS[name]
    return fake_run.word_run(family, objective, **fields)


def table_of(run) -> np.ndarray:
    """The word vectors by their definition in the papers."""
    if run.family == "glove":
        both = run.model.input_embedding.numpy() + run.model.output_embedding.numpy()
        return both[:, :-1]
    if run.family == "fasttext":
        rows, bags = run.model.input_embedding.numpy(), run.model.bags
        ends = zip(bags.splits[:-1], bags.splits[1:], strict=True)
        return np.stack([rows[bags.ids[a:b]].mean(0) for a, b in ends])
    return run.model.token_embedding.embeddings.numpy()


def pairs_of(run, count=60):
    """Pairs of the run's words, with scores that nobody gave."""
    random = np.random.default_rng(1)
    pairs = list(itertools.combinations(run.tokenizer.pieces, 2))
    chosen = random.choice(len(pairs), count, replace=False)
    return [(*pairs[i], float(random.uniform(0, 10))) for i in chosen]


def exported(run, folder, pairs, **options):
    return artifacts.export(run, folder, pairs, lengths.settled(run.model, None, None), **options)


@pytest.mark.parametrize("name", RUNS)
def test_a_saved_model_gives_vectors_and_neighbours(tmp_path, name):
    run = word_run(name)
    saved_model.write(run, tmp_path, "none", None)
    call = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert set(call) == {"embed", "nearest", "embed_text", "nearest_text"}
    table = table_of(run)
    ids = np.arange(len(table), dtype="int32")[None]
    np.testing.assert_allclose(
        call["embed"](token_ids=tf.constant(ids))["vectors"][0], table, atol=1e-6
    )
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit[7]
    cosines[[0, 1, 2, 3, 7]] = -2
    best = np.argsort(-cosines)[:3]
    near = call["nearest"](token_ids=tf.constant([7]), k=tf.constant(3))
    assert near["token_ids"][0].numpy().tolist() == best.tolist()
    word = run.tokenizer.piece(7)
    near = call["nearest_text"](text=tf.constant([word]), k=tf.constant(3))
    assert [p.decode() for p in near["pieces"][0].numpy()] == [run.tokenizer.piece(i) for i in best]
    np.testing.assert_allclose(near["similarity"][0], cosines[best], atol=1e-6)


@pytest.mark.parametrize("name", RUNS)
def test_a_tflite_gives_vectors_and_neighbours(tmp_path, name):
    run, table = word_run(name), None
    table = table_of(run)
    for quantization, atol in (("none", 1e-6), ("dynamic_int8", 0.02)):
        path = tmp_path / quantization
        tflite.write(run, path, quantization, lengths.settled(run.model, None, None))
        assert tflite.operators_that_are_not_builtin(path.read_bytes()) == []
        runners = runners_of(path)
        assert set(runners) == {"embed", "nearest"}
        for token in (4, 17):
            got = runners["embed"](token_ids=np.asarray([[token]], "int32"))["vectors"][0, 0]
            np.testing.assert_allclose(got, table[token], atol=atol)
            unit = table / np.linalg.norm(table, axis=1, keepdims=True)
            cosines = unit @ unit[token]
            cosines[[0, 1, 2, 3, token]] = -2
            near = runners["nearest"](token_ids=np.asarray([token], "int32"))
            if quantization == "none":
                assert near["token_ids"][0].tolist() == np.argsort(-cosines)[:10].tolist()
            np.testing.assert_allclose(
                near["similarity"][0], np.sort(-cosines)[:10] * -1, atol=0.05
            )


def test_artifacts_are_proved_and_measured(tmp_path):
    run = word_run("fasttext")
    pairs = pairs_of(run)
    sets = similarities.SimilaritySets(run, {"mine": [*pairs, ("nowhere", "the", 3.0)]})
    wanted = [("saved_model", "none"), ("tflite", "none"), ("tflite", "dynamic_int8")]
    wanted += [(form, "none") for form in VECTORS_FILES]
    results = exported(run, tmp_path, wanted, sets=sets)
    table = table_of(run)
    for result in results:
        assert result.failures == []
        score = result.figures["similarity"]["mine"]
        assert (score["pairs"], score["found"]) == (61, 60)
        expected = scipy_spearman(run, table, pairs)
        assert score["spearman_of_run"] == pytest.approx(expected, abs=1e-6)
        assert score["change"] == score["spearman"] - score["spearman_of_run"]
        if result.quantization == "none":
            assert score["change"] == 0
    saved, _, int8 = results[:3]
    assert saved.figures["text_vector_difference"] < 1e-6
    assert saved.figures["num_texts"] > 40
    assert saved.figures["needs"] == []  # no library beside TensorFlow
    assert "text_vector_difference" not in int8.figures
    runners = runners_of(tmp_path / int8.path)
    rounded = [
        runners["embed"](token_ids=np.asarray([[i]], "int32"))["vectors"][0, 0]
        for i in range(len(table))
    ]
    expected = scipy_spearman(run, np.stack(rounded), pairs)
    assert int8.figures["similarity"]["mine"]["spearman"] == pytest.approx(expected, abs=1e-6)
    entries = manifest.read(tmp_path)["artifacts"]
    assert {entry["format"] for entry in entries.values()} == {
        "saved_model",
        "tflite",
        *VECTORS_FILES,
    }
    assert entries["model_dynamic_int8.tflite"]["proof"]["similarity"] == int8.figures["similarity"]
    json.dumps(entries, allow_nan=False)


def scipy_spearman(run, table, pairs) -> float:
    ids, table = run.tokenizer.ids, table.astype("float64")
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in ((table[ids[first]], table[ids[second]]) for first, second, _ in pairs)
    ]
    return float(scipy.stats.spearmanr(cosines, [score for *_, score in pairs]).statistic)


def test_vectors_files_hold_every_word_and_bit(tmp_path):
    run = word_run("fasttext")
    results = exported(run, tmp_path, [(form, "none") for form in VECTORS_FILES])
    table = np.asarray(run.model.embeddings())[4:]
    for result in results:
        assert result.failures == []
        assert result.path == VECTORS_FILES[result.format]
        assert result.figures["different_rows"] == 0
        found = vectors.read(tmp_path / result.path)
        assert found.words == run.tokenizer.pieces
        np.testing.assert_array_equal(found.table, table)
    lines = (tmp_path / "vectors.vec").read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"{len(table)} 64"
    word, *numbers = lines[1].split(" ")
    assert word == run.tokenizer.pieces[0]
    np.testing.assert_array_equal(np.asarray(numbers, "float32"), table[0])


def test_a_causal_word2vec_has_vectors_files_too(tmp_path):
    run = fake_run.word_run("word2vec", "causal")
    (result,) = exported(run, tmp_path, [("fasttext_vec", "none")])
    assert result.failures == []
    saved_model.write(run, tmp_path / "saved", "none", None)
    names = set(tf.saved_model.load(str(tmp_path / "saved" / "1")).signatures)
    assert names >= {"generate", "decode", "embed", "nearest", "embed_text", "nearest_text"}


def test_a_wrong_vectors_file_is_removed(tmp_path, monkeypatch):
    run = word_run("skip_gram")

    def other_row(run, path, quantization, chunk_lengths):
        found = vectors.WordVectors(run.tokenizer.pieces, np.asarray(run.model.embeddings())[4:])
        found.table[3, 2] = np.nextafter(found.table[3, 2], 9, dtype="float32")
        vectors.write(path, found, "fasttext_vec")

    def other_words(run, path, quantization, chunk_lengths):
        words = [word + "s" for word in run.tokenizer.pieces]
        table = np.asarray(run.model.embeddings())[4:]
        vectors.write(path, vectors.WordVectors(words, table), "fasttext_vec")

    def cut(run, path, quantization, chunk_lengths):
        other_words(run, path, quantization, chunk_lengths)
        path.write_bytes(path.read_bytes()[:-200])

    for writer, named in (
        (other_row, "1 vectors are not read back bit by bit"),
        (other_words, "of 20 words 20 are not in their place"),
        (cut, "it cannot be read back"),
    ):
        monkeypatch.setattr(formats, "write_function", lambda name, writer=writer: writer)
        (result,) = exported(run, tmp_path, [("fasttext_vec", "none")])
        assert named in result.failures[0]
        assert not (tmp_path / result.path).exists()


def test_a_change_of_spearman_past_its_threshold_is_removed(tmp_path, monkeypatch):
    run = word_run("glove")
    sets = similarities.SimilaritySets(run, {"mine": pairs_of(run)})

    class Rounded:
        name = "glove"
        config = run.model.config

        def embeddings(self):
            noise = np.random.default_rng(0).normal(size=table_of(run).shape)
            return tf.constant(table_of(run) + 0.3 * noise.astype("float32"))

    def rounding(run, path, quantization, chunk_lengths):
        tflite.write(
            fake_run.FakeRun(Rounded(), "glove", run.tokenizer, "glove"),
            path,
            "none",
            chunk_lengths,
        )

    monkeypatch.setattr(formats, "write_function", lambda name: rounding)
    (result,) = exported(run, tmp_path, [("tflite", "dynamic_int8")], sets=sets)
    change = result.figures["similarity"]["mine"]["change"]
    assert abs(change) > 0.01
    assert f"Spearman on mine changes by {change:+.4f}, more than 0.01" in result.failures
    assert not (tmp_path / result.path).exists()


def test_sets_of_few_pairs_are_measured_and_not_judged():
    limits = THRESHOLDS["dynamic_int8"]
    figures = {"a": {"change": 0.2, "found": 29}, "b": {"change": -0.02, "found": 30}}
    assert similarities.judge(figures, limits) == [
        "Spearman on b changes by -0.0200, more than 0.01"
    ]
    figures = {"a": {"change": float("nan"), "found": 40}, "b": {"change": 0.009, "found": 30}}
    assert [text[:13] for text in similarities.judge(figures, limits)] == ["Spearman on a"]


def test_a_set_of_another_language_is_refused():
    run = word_run("glove")
    with pytest.raises(UserError) as error:
        similarities.SimilaritySets(run, {"german": [("Hund", "Katze", 3.0), ("the", "Haus", 1.0)]})
    assert "of the 2 pairs of german only 0 are of words that this run knows" in str(error.value)
    assert "\n" not in str(error.value)


def test_words_of_a_set_are_normalised_as_the_tokenizer_does_it():
    run = fake_run.word_run("glove", "glove", normalization=("nfkc", "lowercase"))
    pairs = [("Ｔｈｅ", "QUICK", 1.0), ("FOXES", "dogs", 2.0), ("DOGS", "lazy", 3.0)]
    sets = similarities.SimilaritySets(run, {"x": pairs})
    assert sets.of_tokens(table_of(run))["x"]["found"] == 3


def test_names_of_sets():
    assert similarities.names_of(["a/ws353.tsv", "b/men.txt"]) == {
        "ws353": "a/ws353.tsv",
        "men": "b/men.txt",
    }
    assert list(similarities.names_of(["a/x.tsv", "b/x.txt"])) == ["a/x.tsv", "b/x.txt"]


def test_texts_that_prove_a_run_hold_unknown_words():
    for name in ("fasttext", "glove"):
        run = word_run(name)
        texts, expected = texts_and_vectors(run, table_of(run))
        unknown = [t for t in texts if t and run.tokenizer.unk_id in run.tokenizer.encode(t)]
        assert len(unknown) > 20
        assert len(texts) == len(expected) == len(set(texts))
        place = texts.index(unknown[0])
        is_unknown_token = np.array_equal(expected[place], table_of(run)[1])
        assert is_unknown_token == (name == "glove")


def test_a_wrong_vector_of_a_text_is_caught(tmp_path, monkeypatch):
    from export import subword_graph

    run = word_run("fasttext")
    before = subword_graph.fnv1a
    monkeypatch.setattr(subword_graph, "fnv1a", lambda *arguments: before(*arguments) + 1)
    (result,) = exported(run, tmp_path, [("saved_model", "none")])
    assert len(result.failures) == 1
    assert result.failures[0].startswith("the vectors of texts differ by ")


@pytest.mark.parametrize("family", ["gpt", "rnn", "fasttext_classifier"])
def test_vectors_files_are_for_word_vectors(family):
    experiment = {"model": {"family": family}, "objective": {"kind": "causal"}}
    formats.check_suit([("tflite", "none")], experiment)
    with pytest.raises(UserError) as error:
        formats.check_suit([("tflite", "none"), ("glove", "none")], experiment)
    assert str(error.value) == (
        "--format=glove is for word vectors (word2vec, fasttext, glove). "
        f"Received a run of {family}; choose from: saved_model, tflite."
    )


def test_what_has_no_export_is_refused():
    experiment = {"model": {"family": "fasttext_classifier"}, "objective": {"kind": "classify_bag"}}
    with pytest.raises(UserError, match="runs/x was trained with the objective classify_bag"):
        run_kind.check(experiment, "runs/x")
    for _, objective, _ in RUNS.values():
        run_kind.check({"objective": {"kind": objective}}, "runs/x")
