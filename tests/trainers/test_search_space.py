"""The notation of a search: what it means to KerasTuner, and every mistake in one line."""

import pytest

from tests.tiny_experiments import tiny_experiment
from tflm.errors import UserError
from trainers.search import space
from trainers.search.command import of_training, training_command


def dimension(text: str):
    return space.parse([text], tiny_experiment("gpt_rotary", "text.txt"))[0]


def values_of(text: str) -> set:
    """Everything that KerasTuner draws from a domain."""
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    searched = dimension(text)
    searched.add_to(hyperparameters)
    (parameter,) = hyperparameters.space
    return {searched.kind(parameter.prob_to_value(i / 200)) for i in range(200)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.num_layers=1..4", {1, 2, 3, 4}),
        ("model.hidden_dim=64..256:64", {64, 128, 192, 256}),
        ("model.hidden_dim=log:64..256:2", {64, 128, 256}),
        ("train.schedule=cosine, linear", {"cosine", "linear"}),
        ("model.tie_embeddings=true,false", {True, False}),
        ("model.num_layers=2,8,4", {2, 4, 8}),
        ("model.num_key_value_heads=1,2", {1, 2}),
        ("train.weight_decay=0,1e-1", {0.0, 0.1}),
    ],
)
def test_domains_of_few_values(text, values):
    drawn = values_of(text)
    assert drawn == values
    assert {type(value) for value in drawn} == {type(value) for value in values}


def test_ranges_of_numbers():
    linear = values_of("model.dropout=0..0.5")
    assert min(linear) == 0 and 0.49 < max(linear) <= 0.5
    logarithmic = sorted(values_of("train.learning_rate=log:1e-4..1e-2"))
    assert logarithmic[0] == pytest.approx(1e-4) and 9e-3 < logarithmic[-1] <= 1e-2
    assert logarithmic[100] == pytest.approx(1e-3)  # the middle, as a factor


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.learning_rate", "must be FIELD=DOMAIN"),
        ("train.lr=1..2", "train has no field 'lr'. It has: steps, epochs, .*learning_rate"),
        ("trian.steps=1..2", "there is no 'trian'.*one of: model, objective, tokenizer, train"),
        ("steps=1..2", "there is no 'steps'"),
        ("data.section_bytes=1..2", "`data` must be the same for all"),
        ("train.sample_prompts=a,b", "and this is a list"),
        ("train.learning_rate=fast..slow", "must be a number. Received: 'fast'"),
        ("model.num_layers=1..2.5", "must be a whole number. Received: '2.5'"),
        ("model.tie_embeddings=yes,no", "must be true or false. Received: 'yes'"),
        ("train.learning_rate=1..inf", "must be finite"),
        ("train.learning_rate=1e-2..1e-4", "must go from less to more"),
        ("train.learning_rate=log:0..1", "must begin above 0 for log:"),
        ("model.hidden_dim=log:64..256:1", "needs a step above 1"),
        ("model.hidden_dim=64..256:0", "needs a step above 0"),
        ("train.schedule=a..b", "holds no number"),
        (
            "model.num_layers=2",
            "two different values. Received: 2. --config.model.num_layers=2 sets",
        ),
        ("model.num_layers=2,2", "two different values"),
    ],
)
def test_mistakes(text, said):
    with pytest.raises(UserError, match=said) as error:
        dimension(text)
    assert "\n" not in str(error.value)


def test_a_field_once_and_one_at_least():
    experiment = tiny_experiment("gpt_rotary", "text.txt")
    with pytest.raises(UserError, match="model.num_layers is given twice"):
        space.parse(["model.num_layers=1..2", "model.num_layers=1..3"], experiment)
    with pytest.raises(UserError, match="--search is missing"):
        space.parse([], experiment)


def test_values_are_set_in_a_copy():
    experiment = tiny_experiment("gpt_rotary", "text.txt")
    changed = space.with_values(experiment, {"model.num_layers": 3, "train.learning_rate": 0.5})
    assert (changed.model.num_layers, changed.train.learning_rate) == (3, 0.5)
    assert (experiment.model.num_layers, experiment.train.learning_rate) == (2, 1e-2)
    changed.model.num_layers, changed.train.learning_rate = 2, 1e-2
    assert changed == experiment


def test_the_command_to_train_on():
    argv = ["tune", "--config=gpt_small", "--corpus", "my texts", "--tuner=random", "--folder=f"]
    argv += [
        "--noconfig.model.tie_embeddings",
        "--config.train.steps=9",
        "--search=model.dropout=0..1",
    ]
    given = of_training(argv)
    assert given == [
        "--config=gpt_small",
        *("--corpus", "my texts"),
        "--noconfig.model.tie_embeddings",
        "--config.train.steps=9",
    ]
    values = {"train.learning_rate": 1e-05, "model.use_bias": True, "train.schedule": "linear"}
    assert training_command(given, values, "runs/a b") == (
        "python -m trainers.train --config=gpt_small --corpus 'my texts' --noconfig.model.tie_embeddings "
        "--config.train.steps=9 --config.train.learning_rate=1e-05 --config.model.use_bias=true "
        "--config.train.schedule=linear '--run_dir=runs/a b'"
    )
