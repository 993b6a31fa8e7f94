"""A SavedModel, loaded again, computes what the model computes; every family."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from export import saved_model
from tests.export import fake_run
from tests.graphs import functions_of
from tflm.errors import UserError
from tflm.text.byte import ByteTokenizer

TEXTS = ["The cat sat", "A", "", "数据 x"]


def random_ids(run, shape, seed=0):
    return np.random.default_rng(seed).integers(4, run.model.config.vocabulary_size, shape, "int32")


def test_score_is_the_forward_pass_at_any_shape(zoo_run, loaded_saved_model):
    for shape in ((1, 2), (3, 20), (2, 48)):
        ids = random_ids(zoo_run, shape)
        logits = loaded_saved_model.signatures["score"](token_ids=tf.constant(ids))["logits"]
        np.testing.assert_allclose(logits, zoo_run.model(ids), atol=1e-4)
        assert len(set(np.argmax(logits, -1).ravel().tolist())) > 1


def test_prefill_and_decode_go_on_from_each_other(zoo_run, loaded_saved_model):
    call = loaded_saved_model.signatures
    ids = random_ids(zoo_run, (3, 20))
    expected = np.asarray(zoo_run.model(ids))
    state = call["initial_state"](batch_size=tf.constant(3), max_length=tf.constant(24))
    position = 0
    for length in (7, 5):
        chunk = tf.constant(ids[:, position : position + length])
        state = call["prefill"](token_ids=chunk, position=tf.constant(position), **state)
        logits = state.pop("logits")
        np.testing.assert_allclose(
            logits, expected[:, position : position + length], atol=1e-4, rtol=1e-4
        )
        position += length
    for position in range(12, 20):
        token = tf.constant(ids[:, position : position + 1])
        state = call["decode"](token_ids=token, position=tf.constant(position), **state)
        logits = state.pop("logits")
        np.testing.assert_allclose(logits[:, 0], expected[:, position], atol=1e-4, rtol=1e-4)
    assert set(state) == set(zoo_run.model.initial_state(1, 24))


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.0},
        {"temperature": 0.0, "repetition_penalty": 1.3},
        {"temperature": 0.9, "top_k": 40, "top_p": 0.95, "min_p": 0.01, "seed": 5},
    ],
    ids=["greedy", "penalty", "sampled"],
)
def test_generate_draws_the_tokens_of_tflm_generation(zoo_run, loaded_saved_model, sampling):
    expected = fake_run.continue_with_decoder(zoo_run, TEXTS, 20, **sampling)
    options = {name: tf.constant(value) for name, value in sampling.items()}
    got = loaded_saved_model.generate(tf.constant(TEXTS), max_tokens=tf.constant(20), **options)
    for row, text in enumerate(TEXTS):
        prompt = [zoo_run.tokenizer.bos_id, *zoo_run.tokenizer.encode(text)]
        count = int(got["num_tokens"][row])
        tokens = got["token_ids"][row].numpy().tolist()
        assert tokens[: len(prompt)] == prompt
        assert tokens[len(prompt) : len(prompt) + count] == expected[row]
        assert not any(tokens[len(prompt) + count :])
        completion = zoo_run.tokenizer.decode(expected[row])
        assert got["completion"][row].numpy().decode() == completion
        assert got["text"][row].numpy().decode() == text + completion
    assert any(len(set(tokens)) > 2 for tokens in expected)


def test_a_text_longer_than_the_context_goes_on_from_its_newer_half(zoo_run, loaded_saved_model):
    if zoo_run.model.max_sequence_length is None:
        pytest.skip("no limit")
    text = "The quick brown fox jumps over the lazy dog, and more of it, until 70."
    for length, max_tokens in ((70, 3), (40, 40)):  # read anew at the start, and on the way
        (expected,) = fake_run.continue_with_decoder(
            zoo_run, [text[:length]], max_tokens, temperature=0.0
        )
        got = loaded_saved_model.generate(
            tf.constant([text[:length]]),
            max_tokens=tf.constant(max_tokens),
            temperature=tf.constant(0.0),
        )
        tokens = got["token_ids"][0].numpy().tolist()
        assert tokens[1 + length : 1 + length + int(got["num_tokens"][0])] == expected


def test_serving_default_is_greedy_and_takes_text_alone(zoo_run, loaded_saved_model):
    default = loaded_saved_model.signatures["serving_default"](text=tf.constant(TEXTS))
    greedy = loaded_saved_model.generate(
        tf.constant(TEXTS), max_tokens=tf.constant(64), temperature=tf.constant(0.0)
    )
    np.testing.assert_array_equal(default["token_ids"], greedy["token_ids"])
    np.testing.assert_array_equal(default["completion"], greedy["completion"])


def test_embed_gives_the_input_embedding(zoo_run, loaded_saved_model):
    table = np.asarray(zoo_run.model.embeddings())
    ids = random_ids(zoo_run, (2, 5))
    vectors = loaded_saved_model.signatures["embed"](token_ids=tf.constant(ids))["vectors"]
    np.testing.assert_array_equal(vectors, table[ids])
    averages = loaded_saved_model.signatures["embed_text"](text=tf.constant(["ab", ""]))["vectors"]
    expected = table[zoo_run.tokenizer.encode("ab")].mean(0)
    np.testing.assert_allclose(averages, [expected, 0 * expected], atol=1e-6)


def test_the_graph_holds_no_op_that_only_xla_knows(zoo_run, loaded_saved_model):
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((loaded_saved_model.folder / "saved_model.pb").read_bytes())
    functions = functions_of(graph.meta_graphs[0].graph_def)
    assert len(functions) > 5
    names = {node.op for function in functions for node in function.node_def}
    assert not [name for name in names if name.startswith("Xla")]
    assert not [f for f in functions if f.attr["_XlaMustCompile"].b]


def test_options_have_defaults_for_model_servers(zoo_run, loaded_saved_model):
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((loaded_saved_model.folder / "saved_model.pb").read_bytes())
    defaults = graph.meta_graphs[0].signature_def["generate"].defaults
    found = {name: tf.make_ndarray(value).item() for name, value in defaults.items()}
    assert found == {
        "max_tokens": 64,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 1.5}, "top_p"),
        ({"min_p": -0.1}, "min_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"seed": -1}, "seed"),
        ({"max_tokens": -1}, "max_tokens"),
    ],
)
def test_options_out_of_range_are_refused_by_name(loaded_saved_model, options, named):
    options = {name: tf.constant(value) for name, value in options.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"`{named}` must be from"):
        loaded_saved_model.generate(tf.constant(["a"]), **options)


def test_no_text_at_all_is_refused(loaded_saved_model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one string"):
        loaded_saved_model.generate(tf.constant([], tf.string))


def test_no_new_tokens_give_the_prompt_back(loaded_saved_model):
    got = loaded_saved_model.generate(tf.constant(["abc"]), max_tokens=tf.constant(0))
    assert got["text"].numpy().tolist() == [b"abc"]
    assert got["num_tokens"].numpy().tolist() == [0]


def test_what_does_not_fit_the_context_is_refused(zoo_run, loaded_saved_model):
    limit = zoo_run.model.max_sequence_length
    if limit is None:
        pytest.skip("no limit")
    call = loaded_saved_model.signatures
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"context of this model is {limit}"):
        call["score"](token_ids=tf.constant(random_ids(zoo_run, (1, limit + 1))))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"context of this model is {limit}"):
        call["initial_state"](batch_size=tf.constant(1), max_length=tf.constant(limit + 1))
    state = call["initial_state"](batch_size=tf.constant(1), max_length=tf.constant(8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="length of the cache"):
        call["prefill"](
            token_ids=tf.constant(random_ids(zoo_run, (1, 5))), position=tf.constant(4), **state
        )


def test_generation_ends_before_eos(tmp_path):
    """With an eos that is certain, nothing is emitted; the other rows go on."""
    run = fake_run.fake_run("word2vec")
    after_a = run.tokenizer.encode("a")[0]
    model = run.model
    output, table = model.output_embedding.value.numpy(), model.embeddings().value.numpy()
    output[run.tokenizer.eos_id] = 30 * table[after_a]
    model.output_embedding.assign(output)
    saved_model.write(run, tmp_path, "none", None)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    texts = ["aaaa", "b"]
    expected = fake_run.continue_with_decoder(run, texts, 6, temperature=0.0)
    got = loaded.generate(
        tf.constant(texts), max_tokens=tf.constant(6), temperature=tf.constant(0.0)
    )
    assert expected[0] == []
    assert got["num_tokens"].numpy().tolist() == [len(row) for row in expected]
    assert got["completion"][0].numpy() == b""


def test_a_tokenizer_without_a_twin_leaves_out_the_text_signatures(tmp_path):
    class NoTwin(ByteTokenizer):
        def in_graph(self):
            raise UserError("no twin")

    run = fake_run.fake_run("lstm", tokenizer=NoTwin())
    saved_model.write(run, tmp_path, "none", None)
    names = set(tf.saved_model.load(str(tmp_path / "1")).signatures)
    assert names == {"score", "initial_state", "prefill", "decode", "embed"}


def test_word_vectors_have_neighbours(tmp_path):
    run = fake_run.fake_run("word2vec", objective="skip_gram")
    saved_model.write(run, tmp_path, "none", None)
    call = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert set(call) == {"embed", "nearest", "embed_text", "nearest_text"}
    table = np.asarray(run.model.embeddings(), "float64")
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    words = run.tokenizer.encode("ab")
    similarity = unit[words] @ unit.T
    similarity[:, :4] = -2
    similarity[[0, 1], words] = -2
    expected = np.argsort(-similarity, axis=1)[:, :5]
    got = call["nearest"](token_ids=tf.constant(words), k=tf.constant(5))
    np.testing.assert_array_equal(got["token_ids"], expected)
    np.testing.assert_allclose(
        got["similarity"], np.take_along_axis(similarity, expected, 1), atol=1e-6
    )
    by_text = call["nearest_text"](text=tf.constant(["a", "b"]), k=tf.constant(5))
    pieces = [[run.tokenizer.piece(i) for i in row] for row in expected.tolist()]
    assert [[p.decode() for p in row] for row in by_text["pieces"].numpy()] == pieces
