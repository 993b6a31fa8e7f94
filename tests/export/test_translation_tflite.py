"""The .tflite of an encoder-decoder: a source of fixed length, the state with the caller, builtin operators only."""

import dataclasses

import numpy as np
import pytest

from export import lengths, tflite
from tests import zoo
from tests.export.test_tflite import runners_of
from tests.export.translation_runs import translation_run
from tflm import models

SOURCE_LENGTH, TARGET_LENGTH = 12, 16
SOURCE = [5, 9, 20, 31, 7, 60, 3]


def written(run, folder, quantization="none"):
    bounded = run.model.max_sequence_length is not None
    path = folder / f"{quantization}.tflite"
    settled = lengths.settled(
        run.model, None, TARGET_LENGTH if bounded else None, source=SOURCE_LENGTH
    )
    tflite.write(run, path, quantization, settled)
    return path


def target():
    ids = np.random.default_rng(0).integers(4, 260, (1, TARGET_LENGTH), "int32")
    ids[:, 0] = 2
    return ids


def logits_of(runners):
    source_ids = np.zeros((1, SOURCE_LENGTH), "int32")
    source_ids[0, : len(SOURCE)] = SOURCE
    state, logits = runners["encode"](source_ids=source_ids), []
    for position in range(TARGET_LENGTH):
        token = target()[:, position : position + 1]
        changed = runners["decode"](token_ids=token, position=np.int32(position), **state)
        logits.append(changed.pop("logits")[0, 0])
        assert changed and not any(name.startswith("source_") for name in changed)
        state |= changed
    return np.stack(logits)


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_encode_and_decode_compute_the_forward_pass(tmp_path, name):
    run = translation_run(name)
    # The padding behind the source changes nothing, and the Keras side has none.
    expected = np.asarray(run.model(target(), np.asarray([SOURCE], "int32")))[0]
    path = written(run, tmp_path)
    assert tflite.operators_that_are_not_builtin(path.read_bytes()) == []
    runners = runners_of(path)
    assert set(runners) == {"encode", "decode"}
    np.testing.assert_allclose(logits_of(runners), expected, atol=1e-4, rtol=1e-4)
    assert len(set(expected.argmax(-1).tolist())) > 1
    outputs, inputs = runners["encode"].get_output_details(), runners["decode"].get_input_details()
    assert {k: v["shape"].tolist() for k, v in outputs.items()} == {
        k: v["shape"].tolist() for k, v in inputs.items() if k not in ("token_ids", "position")
    }


@pytest.mark.parametrize("name", ["transformer_shared", "lstm_luong"])
def test_int8_weights_stay_close(tmp_path, name):
    run = translation_run(name)
    expected = np.asarray(run.model(target(), np.asarray([SOURCE], "int32")))[0]
    path = written(run, tmp_path, "dynamic_int8")
    assert tflite.operators_that_are_not_builtin(path.read_bytes()) == []
    got = logits_of(runners_of(path))
    assert 0 < np.abs(got - expected).max() < 0.15 * np.abs(expected).max()
    assert path.stat().st_size < written(run, tmp_path).stat().st_size


def test_an_empty_cache_takes_no_room_in_the_file(tmp_path):
    """48 targets of 48 tokens more would be seen."""
    run = translation_run("transformer_shared")
    numbers = sum(int(np.prod(variable.shape)) for variable in run.model.variables)
    small = written(run, tmp_path).stat().st_size
    path = tmp_path / "large.tflite"
    tflite.write(run, path, "none", lengths.settled(run.model, None, None))
    assert path.stat().st_size - small < 4 * 48 * 32  # one cache of one layer
    assert small < 4 * numbers + 150_000


def test_a_table_that_serves_all_is_in_the_file_once(tmp_path):
    run = translation_run("transformer_shared")
    config = dataclasses.replace(zoo.SEQ2SEQ_ZOO["transformer_shared"], vocabulary_size=4000)
    run.model = models.build(config)
    zoo.spread(run.model)
    table = 4000 * config.hidden_dim * 4
    others = sum(int(np.prod(v.shape)) * 4 for v in run.model.variables) - table
    assert written(run, tmp_path).stat().st_size < 1.5 * table + others
    assert written(run, tmp_path, "dynamic_int8").stat().st_size < 2.5 * table / 4 + others
