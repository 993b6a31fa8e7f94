"""The other half of `test_backends.py`, run under KERAS_BACKEND=jax in a process of its own.

    python tests/jax_side.py FOLDER

FOLDER/request.json names what to do: "build" (members of the zoo), "load" (run folders), and "train" (pairs of a
member of the zoo and a run folder, on FOLDER/text.txt); "train_pairs" is the same on pairs of texts; "differentiate"
(members of the zoo) is the loss in chunks; "read" (members of the zoo of encoder-decoders) is logits and gradients of a
target that has read a source; "search" a beam search; "tag" a CRF. Logits, gradients and what was found come back in
FOLDER/logits.npz.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SETTINGS = {"steps": 30, "eval_every": 30, "accumulation": 2, "learning_rate": 3e-3}
PAIR_SETTINGS = {"steps": 12, "eval_every": 12, "accumulation": 2, "learning_rate": 3e-3}


def token_ids() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 260, (2, 8)).astype("int32")


def logits_of(model) -> np.ndarray:
    from keras import ops

    if hasattr(model, "encode"):
        from tests.golden import make

        return np.array(ops.convert_to_numpy(model(token_ids(), make.source_ids())))
    return np.array(ops.convert_to_numpy(model(token_ids())))


def read_and_differentiated(model) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The logits in training of a target that has read a source; of their mean square the gradients, by path."""
    import jax
    import keras
    from keras import ops

    from tests import zoo

    variables = model.trainable_variables

    @jax.jit
    def differentiate(values):
        def total(values):
            with keras.StatelessScope(list(zip(variables, values, strict=True))):
                logits = model(token_ids(), zoo.source_ids((7, 4)), training=True)
                return ops.mean(ops.square(logits)), logits

        return jax.grad(total, has_aux=True)(values)

    gradients, logits = differentiate([v.value for v in variables])
    named = zip(variables, gradients, strict=True)
    return np.array(logits), {v.path: np.array(g) for v, g in named}


def beams_of(model) -> dict[str, np.ndarray]:
    """Ids and scores of the three best targets of a vocabulary's first tokens."""
    from keras import ops

    from tflm.backend import compiled
    from tflm.generation.beam import BeamConfig, beam_search

    config = BeamConfig(beam_size=4, num_best=3, max_length=6, no_repeat_ngram=2)

    def search(prompts):
        return beam_search(model.step, model.initial_state(3, 8), prompts, config, eos_id=3)

    found = compiled(model, search)(np.array([[2, 5], [2, 6], [2, 7]], "int32"))
    ids, _, scores = map(ops.convert_to_numpy, found)
    return {"ids": np.array(ids), "scores": np.array(scores)}


def tagged_together() -> dict[str, np.ndarray]:
    """The best labels by the CRF of `test_crf`, and the gradients of the sum of its log-likelihoods."""
    import jax
    import keras
    from keras import ops

    from tests.models import test_crf
    from tflm.backend import compiled

    emissions, labels, mask, *weights = test_crf.numbers()
    crf = test_crf.layer(*weights)
    variables = [crf.transitions, crf.first, crf.last]

    @jax.jit
    @jax.grad
    def differentiate(values):
        emissions, *weights = values
        with keras.StatelessScope(list(zip(variables, weights, strict=True))):
            return ops.sum(crf.log_likelihood(emissions, labels, mask))

    found = differentiate([ops.convert_to_tensor(emissions), *(v.value for v in variables)])
    names = ["emissions", *(v.path.rsplit("/", 1)[-1] for v in variables)]
    gradients = {name: np.array(value) for name, value in zip(names, found, strict=True)}
    return {"best": np.array(compiled(crf, crf.decode)(emissions, mask)), **gradients}


def gradients_in_chunks(name: str) -> dict[str, np.ndarray]:
    """Of the causal loss of `token_ids`, ten positions at a time, with recomputation: by the variable's path."""
    import jax
    import keras

    from tests import zoo
    from tflm.metrics import cross_entropy

    cross_entropy.CHUNK_LOGITS = 10 * zoo.VOCABULARY_SIZE
    model, ids = zoo.build(name, seed=3), token_ids()
    if hasattr(model.config, "recompute"):
        model.config = dataclasses.replace(model.config, recompute=True)
    weights = np.full(ids.shape, 1 / ids.size, "float32")

    @jax.jit
    def differentiate(values):
        def total(values):
            with keras.StatelessScope(list(zip(model.trainable_variables, values, strict=True))):
                hidden = model.hidden(ids, training=True)[0]
                return cross_entropy.loss(model, hidden, ids[:, ::-1], weights, z_loss=0.01)

        return jax.grad(total)(values)

    values = differentiate([v.value for v in model.trainable_variables])
    return {v.path: np.array(g) for v, g in zip(model.trainable_variables, values, strict=True)}


def main(folder: Path) -> None:
    import keras

    from tests import zoo
    from tests.tiny_experiments import tiny_experiment
    from tests.tiny_pairs import pair_experiment
    from tflm import models, run
    from trainers import fit

    if keras.backend.backend() != "jax":
        raise SystemExit("Set KERAS_BACKEND=jax.")
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    logits = {}
    for name in request.get("build", []):
        model = models.build(zoo.ZOO[name], seed=3)
        logits[f"initial {name}"] = logits_of(model)
        zoo.spread(model, seed=3)
        logits[f"spread {name}"] = logits_of(model)
    for name in request.get("read", []):
        model = models.build(zoo.SEQ2SEQ_ZOO[name], seed=3)
        for variable in model.variables:
            logits[f"initial {name} {variable.path}"] = np.array(variable.value)
        zoo.spread(model, seed=3)
        logits[f"read {name}"], gradients = read_and_differentiated(model)
        for path, value in gradients.items():
            logits[f"gradient {name} {path}"] = value
    for run_dir in request.get("load", []):
        logits[f"load {run_dir}"] = logits_of(run.load(run_dir).model)
    for name in request.get("differentiate", []):
        for path, value in gradients_in_chunks(name).items():
            logits[f"gradient {name} {path}"] = value
    if request.get("tag"):
        for part, values in tagged_together().items():
            logits[f"tag {part}"] = values
    for name in request.get("search", []):
        for part, values in beams_of(zoo.build(name, seed=3)).items():
            logits[f"beam {name} {part}"] = values
    for name, run_dir in request.get("train", []):
        experiment = tiny_experiment(name, folder / "text.txt", **SETTINGS, jit_compile="on")
        fit.train(experiment, run_dir)
        logits[f"train {run_dir}"] = logits_of(run.load(run_dir).model)
    for name, run_dir in request.get("train_pairs", []):
        experiment = pair_experiment(name, folder, **PAIR_SETTINGS, jit_compile="on")
        fit.train(experiment, run_dir)
        logits[f"train {run_dir}"] = logits_of(run.load(run_dir).model)
    np.savez(folder / "logits.npz", **logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
