"""Experiments and the recipes that return them."""

import pytest

from tests import zoo
from tests.tiny_experiments import tiny_experiment
from tflm.errors import UserError
from trainers import experiment as experiments
from trainers import recipes

RECIPES = sorted(path.stem for path in recipes.FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", zoo.ZOO)
def test_there_and_back(name):
    experiment = tiny_experiment(name, "x", seed=3, sample_prompts=("a", "b"))
    values = experiments.to_dict(experiment)
    assert values["objective"]["kind"] == "causal"
    assert experiments.from_dict(values) == experiment


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_run_and_says_how(name):
    experiment = recipes.load(name)
    experiments.check(experiment)
    assert experiments.from_dict(experiments.to_dict(experiment)) == experiment
    text = (recipes.FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert f"python -m trainers.train --config={name} " in text, "the exact command"
    assert recipes.load(name) is not recipes.load(name)


def test_a_recipe_is_found_by_name_and_by_path(tmp_path):
    assert recipes.path_of("gpt_small") == recipes.FOLDER / "gpt_small.py"
    # From the README, away from the checkout.
    assert recipes.path_of("trainers/recipes/gpt_small.py").name == "gpt_small.py"
    mine = tmp_path / "mine.py"
    mine.write_text("")
    assert recipes.path_of(str(mine)) == mine
    for name in ("mine", "gpt_small.txt", str(tmp_path), "__init__"):
        with pytest.raises(
            UserError,
            match="There is no recipe .*gpt_small, gpt_wikitext2, lstm_shakespeare, lstm_small",
        ):
            recipes.path_of(name)


def test_a_window_must_fit_the_context():
    experiment = tiny_experiment("gpt_rotary", "x", sequence_length=49)
    with pytest.raises(UserError, match="sequence_length=49, max_sequence_length=48"):
        experiments.check(experiment)
    experiments.check(tiny_experiment("gpt_rotary", "x", sequence_length=48))
    experiments.check(tiny_experiment("lstm", "x", sequence_length=4900))


def test_fields_that_flags_have_set_are_checked():
    experiment = tiny_experiment("gpt_rotary", "x")
    experiment.model.num_heads = 5
    with pytest.raises(UserError, match="`num_heads` must divide"):
        experiments.check(experiment)
    experiment = tiny_experiment("lstm", "x")
    experiment.objective.label_smoothing = 1.0
    with pytest.raises(UserError, match="`label_smoothing` must be from 0 to below 1"):
        experiments.check(experiment)
