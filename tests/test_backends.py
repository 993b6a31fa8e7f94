"""TensorFlow and JAX: the same weights from the same seed, the same logits, the same training, one run folder."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import jax_side, zoo
from tests.golden import make
from tests.programs import run_python
from tests.tiny_experiments import tiny_experiment
from tests.tiny_pairs import pair_experiment
from tflm import models, run
from tflm.metrics.cross_entropy import cross_entropy

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra `jax`)"
)
TRAINED = ("lstm", "gpt_rotary")
READING = ("transformer_shared", "transformer_rotary", "lstm_luong", "lstm_bahdanau")
GOLDEN = [str(path.parent) for path in sorted(make.FOLDER.glob("*/experiment.json"))]


@pytest.fixture(scope="module")
def sides(corpus, tmp_path_factory):
    """Run folders of both backends, and what JAX computed."""
    from trainers import fit

    folder = tmp_path_factory.mktemp("backends")
    shutil.copy(corpus, folder / "text.txt")
    for name in TRAINED:
        experiment = tiny_experiment(name, folder / "text.txt", **jax_side.SETTINGS)
        fit.train(experiment, folder / "tensorflow" / name)
    request = {
        "build": list(zoo.ZOO),
        "load": [str(folder / "tensorflow" / name) for name in TRAINED],
        "differentiate": list(TRAINED),
        "search": list(TRAINED),
        "train": [(name, str(folder / "jax" / name)) for name in TRAINED],
    }
    return folder, under_jax(folder, request)


def under_jax(folder, request: dict) -> dict[str, np.ndarray]:
    """What `jax_side.py` answers to a request."""
    (folder / "request.json").write_text(json.dumps(request))
    finished = run_python("tests/jax_side.py", folder, env={"KERAS_BACKEND": "jax"})
    assert finished.returncode == 0, finished.stderr
    return dict(np.load(folder / "logits.npz"))


def losses(run_dir) -> np.ndarray:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return np.array([e["loss"] for e in map(json.loads, lines) if e["kind"] == "train"])


@pytest.mark.parametrize("name", zoo.ZOO)
def test_a_seed_gives_the_same_model(name, sides):
    _, jax = sides
    initial = jax_side.logits_of(models.build(zoo.ZOO[name], seed=3))
    assert initial.std() > 0
    np.testing.assert_allclose(jax[f"initial {name}"], initial, atol=1e-5)
    spread = jax_side.logits_of(zoo.build(name, seed=3))
    np.testing.assert_allclose(jax[f"spread {name}"], spread, atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_curves_agree(name, sides):
    folder, _ = sides
    tensorflow, jax = losses(folder / "tensorflow" / name), losses(folder / "jax" / name)
    assert len(tensorflow) == len(jax) == 30
    assert tensorflow[-1] < tensorflow[0] - 0.1
    np.testing.assert_allclose(jax, tensorflow, rtol=1e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_in_chunks_has_the_gradients_of_the_other_backend_in_one_piece(name, sides):
    _, jax = sides
    model, ids = zoo.build(name, seed=3), jax_side.token_ids()
    weights = np.full(ids.shape, 1 / ids.size, "float32")
    with tf.GradientTape() as tape:
        logits = model(ids, training=True)
        losses = cross_entropy(logits, ids[:, ::-1], z_loss=0.01)
        total = tf.reduce_sum(losses * weights)
    gradients = tape.gradient(total, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        expected = np.array(tf.convert_to_tensor(gradient))
        atol = 2e-5 * np.abs(expected).max()
        found = jax[f"gradient {name} {variable.path}"]
        np.testing.assert_allclose(found, expected, atol=atol, err_msg=variable.path)


@pytest.mark.parametrize("name", TRAINED)
def test_a_beam_finds_the_same(name, sides):
    _, jax = sides
    found = jax_side.beams_of(zoo.build(name, seed=3))
    np.testing.assert_array_equal(jax[f"beam {name} ids"], found["ids"])
    np.testing.assert_allclose(jax[f"beam {name} scores"], found["scores"], rtol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_each_loads_the_others_run(name, sides):
    folder, jax = sides
    for backend, key in (("tensorflow", "load"), ("jax", "train")):
        run_dir = folder / backend / name
        loaded = run.load(run_dir)
        assert loaded.step == 30
        logits = jax_side.logits_of(loaded.model)
        np.testing.assert_allclose(jax[f"{key} {run_dir}"], logits, atol=1e-4)
        assert np.abs(logits - jax[f"initial {name}"]).max() > 1e-2, "it was trained"


@pytest.fixture(scope="module")
def translations(tmp_path_factory):
    return under_jax(tmp_path_factory.mktemp("read"), {"read": READING})


@pytest.mark.parametrize("name", READING)
def test_encoder_decoders_are_the_same(name, translations):
    model = models.build(zoo.SEQ2SEQ_ZOO[name], seed=3)
    for variable in model.variables:
        initial = translations[f"initial {name} {variable.path}"]
        np.testing.assert_array_equal(initial, np.array(variable.value), err_msg=variable.path)
    zoo.spread(model, seed=3)
    with tf.GradientTape() as tape:
        logits = model(jax_side.token_ids(), zoo.source_ids((7, 4)), training=True)
        total = tf.reduce_mean(tf.square(logits))
    np.testing.assert_allclose(translations[f"read {name}"], np.array(logits), atol=1e-4)
    gradients = tape.gradient(total, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        expected = np.array(tf.convert_to_tensor(gradient))
        atol = 5e-5 * np.abs(expected).max() + 1e-7
        found = translations[f"gradient {name} {variable.path}"]
        np.testing.assert_allclose(found, expected, atol=atol, err_msg=variable.path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transformer_shared", "lstm_luong"])
def test_a_training_on_pairs_of_texts_is_the_same(name, tmp_path):
    """Batches of several shapes, which JAX compiles by itself; each backend's run loads in the other."""
    from trainers import fit

    fit.train(pair_experiment(name, tmp_path, **jax_side.PAIR_SETTINGS), tmp_path / "tensorflow")
    request = {"load": [str(tmp_path / "tensorflow")]}
    request["train_pairs"] = [(name, str(tmp_path / "jax"))]
    jax = under_jax(tmp_path, request)
    curves = losses(tmp_path / "tensorflow"), losses(tmp_path / "jax")
    assert len(curves[0]) == len(curves[1]) == 12
    np.testing.assert_allclose(*curves, rtol=1e-3)
    for backend, key in (("tensorflow", "load"), ("jax", "train")):
        loaded = run.load(tmp_path / backend)
        found = jax[f"{key} {tmp_path / backend}"]
        np.testing.assert_allclose(found, jax_side.logits_of(loaded.model), atol=1e-4)


@pytest.mark.slow
def test_jax_loads_the_golden_runs(tmp_path):
    jax = under_jax(tmp_path, {"load": GOLDEN})
    for run_dir in GOLDEN:
        logits = jax_side.logits_of(run.load(run_dir).model)
        np.testing.assert_allclose(jax[f"load {run_dir}"], logits, atol=1e-5)
