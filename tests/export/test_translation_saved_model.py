"""The SavedModel of a model that writes a target for a source computes what the model computes."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from export import lengths, saved_model
from tests.export.translation_runs import translation_run, translations
from tests.graphs import functions_of, nodes_of

TEXTS = ["The old horse runs here.", "", "A cat!", "the fox is in the wet garden"]
ENCODERS = ("transformer_rotary", "lstm_input_feeding")
BEAM = {"beam_size": 3, "length_penalty": 0.8}


@dataclasses.dataclass
class Written:
    run: object
    folder: object
    loaded: object

    def call(self, name, **inputs):
        return self.loaded.signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """name -> its run and the SavedModel of it, written when it is first asked for."""
    known = {}

    def of(name):
        if name not in known:
            run = translation_run(name)
            folder = tmp_path_factory.mktemp(name)
            saved_model.write(run, folder, "none", lengths.settled(run.model, None, None, **BEAM))
            known[name] = Written(run, folder / "1", tf.saved_model.load(str(folder / "1")))
        return known[name]

    return of


def padded_sources():
    return np.asarray([[5, 9, 20, 31, 7, 3], [11, 60, 3, 0, 0, 0]], "int32")


def targets():
    ids = np.random.default_rng(0).integers(4, 260, (2, 9), "int32")
    ids[:, 0] = 2
    return ids


@pytest.mark.parametrize("name", ENCODERS)
def test_score_is_the_forward_pass(written, name):
    found = written(name).call("score", source_ids=padded_sources(), token_ids=targets())
    expected = written(name).run.model(targets(), padded_sources())
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4)
    assert len(set(np.argmax(expected, -1).ravel().tolist())) > 1


@pytest.mark.parametrize("name", ENCODERS)
def test_encode_and_decode_go_on_from_each_other(written, name):
    expected = np.asarray(written(name).run.model(targets(), padded_sources()))
    state = written(name).call("encode", source_ids=padded_sources(), max_length=np.int32(9))
    position = 0
    for length in (4, 1, 3, 1):
        changed = written(name).loaded.signatures["decode"](
            token_ids=tf.constant(targets()[:, position : position + length]),
            position=tf.constant(position),
            **state,
        )
        logits = changed.pop("logits")
        np.testing.assert_allclose(
            logits, expected[:, position : position + length], atol=1e-4, rtol=1e-4
        )
        # What the encoder made of the source goes in and does not come out.
        assert changed and not any(key.startswith("source_") for key in changed)
        assert changed.keys() <= state.keys()
        state |= changed
        position += length


@pytest.mark.parametrize("name", [*ENCODERS, "gpt"])
def test_translate_gives_the_texts_of_tflm_generation(written, name):
    expected = translations(written(name).run, TEXTS, **BEAM, max_length=21)
    found = written(name).call("translate", text=TEXTS, max_tokens=np.int32(20))
    assert [text.decode() for text in found["text"].numpy()] == expected
    assert expected[1] == "" and len(set(expected)) > 2
    decode = written(name).run.tokenizer.decode
    for row, count, text in zip(
        found["token_ids"].numpy(), found["num_tokens"].numpy(), expected, strict=True
    ):
        assert decode(row[:count]) == text
        assert not row[count:].any()
        assert count <= 21


@pytest.mark.parametrize("name", [*ENCODERS, "gpt"])
def test_the_n_best_begin_with_the_best(written, name):
    best = written(name).call("translate", text=TEXTS, max_tokens=np.int32(12))
    found = written(name).call("translate_n_best", text=TEXTS, max_tokens=np.int32(12))
    assert found["texts"].shape == found["scores"].shape == (4, 3)
    np.testing.assert_array_equal(found["texts"][:, 0], best["text"])
    np.testing.assert_allclose(found["scores"][:, 0], best["score"], rtol=1e-5)
    assert len(set(found["texts"][0].numpy().tolist())) == 3


def test_serving_default_takes_text_alone(written):
    some = written("lstm_input_feeding")
    default = some.call("serving_default", text=TEXTS)
    with_option = some.call("translate", text=TEXTS, max_tokens=np.int32(256))
    np.testing.assert_array_equal(default["text"], with_option["text"])
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((some.folder / "saved_model.pb").read_bytes())
    signature = graph.meta_graphs[0].signature_def["translate"]
    assert tf.make_ndarray(signature.defaults["max_tokens"]).item() == 256


@pytest.mark.parametrize("name", [*ENCODERS, "gpt"])
def test_the_graph_holds_no_op_that_only_xla_knows(written, name):
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((written(name).folder / "saved_model.pb").read_bytes())
    graph_def = graph.meta_graphs[0].graph_def
    assert len(functions_of(graph_def)) > 5
    assert not [node.op for node in nodes_of(graph_def) if node.op.startswith("Xla")]


def test_what_does_not_fit_is_refused(written):
    some, decoder = written("transformer_rotary"), written("gpt")
    for call, message in (
        (lambda: some.call("translate", text=["a" * 48], max_tokens=np.int32(5)), "source .* 48"),
        (lambda: some.call("translate", text=["a"], max_tokens=np.int32(0)), "from 1 to 48"),
        (lambda: some.call("translate", text=["a"], max_tokens=np.int32(49)), "from 1 to 48"),
        (lambda: decoder.call("translate", text=["a" * 96], max_tokens=np.int32(5)), "text .* 96"),
        (
            lambda: some.call("encode", source_ids=padded_sources(), max_length=np.int32(49)),
            "target .* 48",
        ),
        (
            lambda: some.call(
                "score", source_ids=padded_sources(), token_ids=np.full((2, 49), 5, "int32")
            ),
            "target .* 48",
        ),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call()
    state = some.call("encode", source_ids=padded_sources(), max_length=np.int32(6))
    with pytest.raises(tf.errors.InvalidArgumentError, match="length of the cache"):
        some.loaded.signatures["decode"](
            token_ids=tf.constant(targets()[:, :4]), position=tf.constant(3), **state
        )


def test_no_text_at_all_is_refused(written):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one string"):
        written("gpt").call("translate", text=np.array([], "str"), max_tokens=np.int32(5))
