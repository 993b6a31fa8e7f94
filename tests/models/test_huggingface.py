"""Folders of `transformers`, made by it (tests/golden/make_huggingface.py), in and out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from keras import ops
from safetensors.numpy import load_file, save_file

from tests import zoo
from tflm import models
from tflm.errors import UserError
from tflm.huggingface import folder
from tflm.run import named_arrays

GOLDEN = Path(__file__).parent.parent / "golden" / "huggingface"
ARCHITECTURES = ("bert", "gpt2", "llama")


def loaded(path):
    """Our model with the weights of a folder."""
    config, _ = folder.read_config(path)
    model = models.build(config)
    arrays = folder.read_weights(path)
    for variable in model.variables:
        name = variable.path.split("/", 1)[1]
        if "seed_generator" not in name:
            assert variable.shape == arrays[name].shape, name
            variable.assign(arrays.pop(name))
    assert not arrays
    return model


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_computes_what_transformers_does(name):
    model, answers = loaded(GOLDEN / name), np.load(GOLDEN / name / "answers.npz")
    if name != "bert":
        np.testing.assert_allclose(
            numbers(model(answers["token_ids"])), answers["logits"], atol=1e-4
        )
        return
    inputs = [answers[name] for name in ("token_ids", "segment_ids", "padding_mask")]
    sequence = model(*inputs)["sequence"]
    logits = numbers(model.logits(model.predictions(sequence)))
    is_token = answers["padding_mask"]
    np.testing.assert_allclose(logits[is_token], answers["logits"][is_token], atol=1e-4)
    found = numbers(model.next_sentence(sequence))
    np.testing.assert_allclose(found, answers["is_next"], atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_written_are_the_same_tensors(name, tmp_path):
    model = loaded(GOLDEN / name)
    arrays = {k.split("/", 1)[1]: v for k, v in named_arrays(model.variables).items()}
    folder.write(tmp_path, model.config, arrays)
    written, theirs = (load_file(p / "model.safetensors") for p in (tmp_path, GOLDEN / name))
    assert written.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_array_equal(written[key], value)
    values, golden = (
        json.loads((p / "config.json").read_text()) for p in (tmp_path, GOLDEN / name)
    )
    assert values["architectures"] == golden["architectures"]
    for key in values.keys() & golden.keys():
        if key != "torch_dtype" and key != "n_inner":
            assert values[key] == golden[key], key


def test_a_folder_in_parts_without_a_head_and_in_bfloat16(tmp_path):
    import ml_dtypes

    tensors = load_file(GOLDEN / "bert" / "model.safetensors")
    kept = {k.removeprefix("bert."): v for k, v in tensors.items() if k.startswith("bert.")}
    names = sorted(kept)
    files = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    for file, part in files.items():
        save_file({n: kept[n].astype(ml_dtypes.bfloat16) for n in part}, tmp_path / file)
    places = {name: file for file, part in files.items() for name in part}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    shutil.copy(GOLDEN / "bert" / "config.json", tmp_path)
    whole, found = folder.read_weights(GOLDEN / "bert"), folder.read_weights(tmp_path)
    missing = whole.keys() - found.keys()
    assert {name.split("/")[0] for name in missing} == {
        "prediction",
        "prediction_norm",
        "pair_output",
        "output_bias",
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-2)
    index.write_text(json.dumps({"weight_map": {names[0]: "../a.safetensors"}}))
    with pytest.raises(UserError, match="which is no file of the folder"):
        folder.read_weights(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "a model of type 't5'. Known are: bert, gpt2, llama."),
        (
            {"rope_scaling": {"factor": 2.0}},
            "rope_scaling={'factor': 2.0}, which is not known here",
        ),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type='yarn', which is not known here"),
        ({"vocab_size": None}, "lacks the key 'vocab_size'"),
    ],
)
def test_what_is_not_known_is_said(change, message, tmp_path):
    values = json.loads((GOLDEN / "llama" / "config.json").read_text()) | change
    values = {key: value for key, value in values.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=message):
        folder.read_config(tmp_path)


@pytest.mark.parametrize("place", ["rope_theta", "rope_parameters"])
def test_the_base_of_the_rotation_is_found_where_either_version_writes_it(place, tmp_path):
    values = json.loads((GOLDEN / "llama" / "config.json").read_text())
    values.pop("rope_parameters", None)
    values[place] = 5e5 if place == "rope_theta" else {"rope_type": "default", "rope_theta": 5e5}
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert folder.read_config(tmp_path)[0].rotary_base == 5e5


def test_missing_and_damaged_weights(tmp_path):
    shutil.copy(GOLDEN / "gpt2" / "config.json", tmp_path)
    with pytest.raises(UserError, match="Give a folder with model.safetensors"):
        folder.read_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="Cannot read .*model.safetensors"):
        folder.read_weights(tmp_path)
    tensors = load_file(GOLDEN / "gpt2" / "model.safetensors")
    del tensors["transformer.wpe.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="lacks the tensor transformer.wpe.weight and 0 more"):
        folder.read_weights(tmp_path)


def test_a_model_that_has_no_form_there(tmp_path):
    with pytest.raises(UserError, match="A Llama has normalization='rms_norm'"):
        folder.write(tmp_path, models.config_class("gpt")(normalization="layer_norm"), {})
    with pytest.raises(UserError, match="is for models of bert and gpt. Received: RNNConfig"):
        folder.write(tmp_path, zoo.ZOO["lstm"], {})
