"""A .tflite computes what the model computes, with builtin operators alone; every family."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from export import lengths, tflite
from export.shared_table import share_table
from tests.export import fake_run
from tflm import models
from tflm.errors import UserError
from tflm.models.gpt import GPTConfig
from tflm.models.word2vec import Word2VecConfig


def runners_of(path):
    """The signatures of a file in the interpreter of phones, or TensorFlow's own without the extra `mobile`."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter  # noqa: N806
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    return {
        name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()
    }


def written(run, folder, quantization="none", prefill=(4, 16), cache=None):
    path = folder / f"{quantization}.tflite"
    tflite.write(run, path, quantization, lengths.settled(run.model, prefill, cache))
    return path


@pytest.fixture(scope="session")
def zoo_tflite(zoo_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite")
    return {q: written(zoo_run, folder, q) for q in ("none", "dynamic_int8")}


def empty_state(runners):
    return {
        name: np.zeros(detail["shape"], detail["dtype"])
        for name, detail in runners["decode"].get_input_details().items()
        if name not in ("token_ids", "position")
    }


def logits_of(runners, ids):
    """Reads 20 tokens by prefill of 16 and 4, the rest by decode: logits (T - 20, V)."""
    state = empty_state(runners)
    for name, start, end in (("prefill_16", 0, 16), ("prefill_4", 16, 20)):
        state = runners[name](token_ids=ids[:, start:end], position=np.int32(start), **state)
        assert "logits" not in state
    logits = []
    for position in range(20, ids.shape[1]):
        state = runners["decode"](
            token_ids=ids[:, position : position + 1], position=np.int32(position), **state
        )
        logits.append(state.pop("logits")[0, 0])
    return np.stack(logits)


def test_prefill_and_decode_compute_the_forward_pass(zoo_run, zoo_tflite):
    runners = runners_of(zoo_tflite["none"])
    assert set(runners) - {"embed", "nearest"} == {"prefill_4", "prefill_16", "decode"}
    ids = np.random.default_rng(0).integers(4, 260, (1, 32), "int32")
    expected = np.asarray(zoo_run.model(ids))[0, 20:]
    np.testing.assert_allclose(logits_of(runners, ids), expected, atol=1e-4, rtol=1e-4)
    assert len(set(expected.argmax(-1).tolist())) > 1


def test_the_state_has_the_names_and_shapes_of_the_model(zoo_run, zoo_tflite):
    runners = runners_of(zoo_tflite["none"])
    limit = zoo_run.model.max_sequence_length
    expected = {
        name: tuple(tensor.shape) for name, tensor in zoo_run.model.initial_state(1, limit).items()
    }
    for runner in (runners["decode"], runners["prefill_16"]):
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        found = {name: tuple(inputs[name]["shape"].tolist()) for name in expected}
        assert found == expected
        assert expected.keys() <= outputs.keys()
        assert set(inputs) == {"token_ids", "position"} | expected.keys()


def test_int8_weights_stay_close(zoo_run, zoo_tflite):
    ids = np.random.default_rng(1).integers(4, 260, (1, 44), "int32")
    expected = np.asarray(zoo_run.model(ids))[0, 20:]
    got = logits_of(runners_of(zoo_tflite["dynamic_int8"]), ids)
    assert 0 < np.abs(got - expected).max() < 0.1 * np.abs(expected).max()
    assert zoo_tflite["dynamic_int8"].stat().st_size < 0.9 * zoo_tflite["none"].stat().st_size


@pytest.mark.parametrize("quantization", ["none", "dynamic_int8"])
def test_every_operator_is_builtin(zoo_tflite, quantization):
    content = zoo_tflite[quantization].read_bytes()
    assert tflite.operators_that_are_not_builtin(content) == []
    assert schema.Model.GetRootAsModel(content, 0).OperatorCodesLength() > 5


def test_an_operator_that_is_not_builtin_is_found_by_name():
    function = tf.function(lambda x: tf.strings.lower(x), [tf.TensorSpec([1], tf.string)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    assert tflite.operators_that_are_not_builtin(converter.convert()) == ["FlexStringLower"]


def test_a_tied_embedding_is_in_the_file_once(tmp_path):
    """The gain of the last norm would otherwise be multiplied into a second table."""
    config = GPTConfig(
        vocabulary_size=4000, num_layers=1, num_heads=2, hidden_dim=64, max_sequence_length=32
    )
    run = fake_run.FakeRun(models.build(config), "gpt")
    fake_run.zoo.spread(run.model)
    table = 4000 * 64 * 4
    others = sum(int(np.prod(v.shape)) * 4 for v in run.model.variables) - table
    size = written(run, tmp_path, prefill=(8,)).stat().st_size
    assert table + others < size < 1.3 * table + others
    size = written(run, tmp_path, "dynamic_int8", prefill=(8,)).stat().st_size
    assert (table + others) / 4 < size < 1.8 * table / 4 + others


def test_a_shorter_cache(tmp_path):
    run = fake_run.fake_run("gpt_learned")
    runners = runners_of(written(run, tmp_path, prefill=(8,), cache=12))
    assert {tuple(s.shape)[1] for s in empty_state(runners).values()} == {12}
    ids = np.random.default_rng(0).integers(4, 260, (1, 12), "int32")
    state = runners["prefill_8"](token_ids=ids[:, :8], position=np.int32(0), **empty_state(runners))
    for position in range(8, 12):
        state = runners["decode"](
            token_ids=ids[:, position : position + 1], position=np.int32(position), **state
        )
        logits = state.pop("logits")
    expected = np.asarray(run.model(ids))[0, -1]
    np.testing.assert_allclose(logits[0, 0], expected, atol=1e-4, rtol=1e-4)


def test_word_vectors(tmp_path):
    run = fake_run.fake_run("word2vec", objective="skip_gram")
    runners = runners_of(written(run, tmp_path))
    assert set(runners) == {"embed", "nearest"}
    table = np.asarray(run.model.embeddings())
    for token in (4, 100, 259):
        token_ids = np.asarray([[token]], "int32")
        np.testing.assert_array_equal(
            runners["embed"](token_ids=token_ids)["vectors"], table[token_ids]
        )
        unit = table / np.linalg.norm(table, axis=1, keepdims=True)
        similarity = unit @ unit[token]
        similarity[[0, 1, 2, 3, token]] = -2
        got = runners["nearest"](token_ids=token_ids[0])
        expected = np.argsort(-similarity)[: tflite.NUM_NEIGHBOURS]
        np.testing.assert_array_equal(got["token_ids"][0], expected)
        np.testing.assert_allclose(got["similarity"][0], similarity[expected], atol=1e-6)


def test_word_vectors_are_in_the_file_once(tmp_path):
    config = Word2VecConfig(vocabulary_size=4000, hidden_dim=32)
    run = fake_run.FakeRun(models.build(config), "word2vec", objective="skip_gram")
    fake_run.zoo.spread(run.model)
    table = 4000 * 32 * 4
    assert table < written(run, tmp_path).stat().st_size < 1.2 * table
    # Beside a quarter of it two copies of the scales, norms and zero points: 32 bytes a row.
    assert table / 4 < written(run, tmp_path, "dynamic_int8").stat().st_size < 0.55 * table


@pytest.mark.slow
def test_a_table_that_the_converter_cannot_compute_with(tmp_path):
    """From 2^24 numbers on it writes other numbers than it should for what it computes of a table beforehand."""
    config = Word2VecConfig(vocabulary_size=2**17 + 1, hidden_dim=128)
    run = fake_run.FakeRun(models.build(config), "word2vec", objective="skip_gram")
    table = run.model.embeddings().value.numpy()
    cosines = table @ table[4] / np.linalg.norm(table, axis=1) / np.linalg.norm(table[4])
    cosines[:5] = -2
    got = runners_of(written(run, tmp_path))["nearest"](token_ids=np.asarray([4], "int32"))
    np.testing.assert_array_equal(got["token_ids"][0], np.argsort(-cosines)[:10])
    np.testing.assert_allclose(got["similarity"][0], -np.sort(-cosines)[:10], atol=1e-5)


def test_int8_vectors_are_rounded_row_by_row(tmp_path):
    """Rows of very different size: one scale for the whole table would leave nothing of the small ones."""
    run = fake_run.fake_run("word2vec")
    table = run.model.embeddings().value.numpy() * np.geomspace(0.001, 1, 260)[:, None]
    run.model.embeddings().assign(table)
    runners = runners_of(written(run, tmp_path, "dynamic_int8"))
    for token in (4, 130, 259):
        vector = runners["embed"](token_ids=np.asarray([[token]], "int32"))["vectors"][0, 0]
        step = np.abs(table[token]).max() / 127
        assert 0 < np.abs(vector - table[token]).max() <= 0.51 * step


def test_a_file_without_a_shared_table_stays_as_it_is(zoo_tflite):
    content = zoo_tflite["none"].read_bytes()
    assert share_table(content) == content


class Bounded:
    max_sequence_length = 48
    name = "gpt"


class Unbounded:
    max_sequence_length = None
    name = "rnn"


def test_lengths_that_suit_the_model():
    assert lengths.settled(Bounded, None, None) == lengths.Lengths((16,), 48)
    assert lengths.settled(Unbounded, None, None) == lengths.Lengths((16, 64), None)
    assert lengths.settled(Bounded, (32, 8, 8), 32) == lengths.Lengths((8, 32), 32)


@pytest.mark.parametrize(
    ("model", "prefill", "cache", "message"),
    [
        (
            Bounded,
            None,
            49,
            "--cache_length must be from 2 to the model's context of 48. Received: 49.",
        ),
        (Bounded, None, 0, "Received: 0."),
        (Bounded, (16, 33), 32, "at most the cache's 32. Received: 33."),
        (Unbounded, (0,), None, "--prefill_lengths must be at least 1. Received: 0."),
        (Unbounded, None, 64, "a fixed size. Received: 64; leave it out."),
    ],
)
def test_lengths_that_do_not_fit(model, prefill, cache, message):
    with pytest.raises(UserError) as error:
        lengths.settled(model, prefill, cache)
    assert message in str(error.value)
