"""A search over a recipe: its trials are ordinary runs, and it goes on where it was killed."""

import dataclasses
import json

import pytest

from tests.programs import run_program
from tests.tiny_experiments import tiny_experiment
from tflm import run as runs
from tflm.errors import UserError
from trainers import fit
from trainers.run_differences import differences_of
from trainers.search import oracle, space
from trainers.search.tables import failures, trial_table
from trainers.search.trials import Search, SearchResult, TrialResult

RATES = "train.learning_rate=log:1e-3..1e-1"


def search_of(
    corpus, folder, texts=(RATES,), tuner="random", family="word2vec", said=None, **train
):
    experiment = tiny_experiment(family, corpus, **({"steps": 2, "eval_every": 2} | train))
    dimensions = space.parse(list(texts), experiment)
    say = (lambda text: None) if said is None else said.append
    return Search(experiment, dimensions, tuner, seed=0, factor=3, folder=folder, say=say)


@pytest.fixture(scope="module")
def searched(corpus, tmp_path_factory):
    """Three random trials over two fields, the folder, and what was said."""
    folder, said = tmp_path_factory.mktemp("tune"), []
    texts = (RATES, "model.hidden_dim=8,16")
    return search_of(corpus, folder, texts, said=said).run(3), folder, said


def test_every_trial_is_a_run_folder_with_its_values(searched, corpus):
    result, folder, said = searched
    names = sorted(trial.run_dir.name for trial in result.trials)
    assert names == ["trial_0000", "trial_0001", "trial_0002"] and len(said) == 3
    for trial in result.trials:
        run = runs.load(trial.run_dir)
        assert run.experiment["train"]["learning_rate"] == trial.values["train.learning_rate"]
        assert run.model.config.hidden_dim == trial.values["model.hidden_dim"]
        assert trial.score == run.state["progress"]["best_score"] and trial.steps == 2
    scores = [trial.score for trial in result.trials]
    assert scores == sorted(scores) and len(set(scores)) == 3
    assert result.best is result.trials[0]
    table = trial_table(result)
    assert [column.header for column in table.columns][-1] == "model.hidden_dim"
    assert table.row_count == 3


def test_a_trial_is_the_run_that_its_settings_make_alone(searched, corpus, tmp_path):
    best = searched[0].best
    experiment = tiny_experiment("word2vec", corpus, steps=2, eval_every=2)
    fit.train(space.with_values(experiment, best.values), tmp_path / "alone")
    assert differences_of(best.run_dir, tmp_path / "alone") == []


def test_a_killed_search_ends_as_an_undisturbed_one(searched, corpus, tmp_path, monkeypatch):
    texts, real, trained = (RATES, "model.hidden_dim=8,16"), fit.train, []

    def train(experiment, run_dir, until=None):
        trained.append(run_dir.name)
        if len(trained) == 2:
            raise KeyboardInterrupt  # as good as a kill: nothing is written after it
        return real(experiment, run_dir, until=until)

    monkeypatch.setattr(fit, "train", train)
    with pytest.raises(KeyboardInterrupt):
        search_of(corpus, tmp_path, texts).run(3)
    result = search_of(corpus, tmp_path, texts).run(3)
    assert trained == ["trial_0000", "trial_0001", "trial_0001", "trial_0002"]
    for ours, theirs in zip(result.trials, searched[0].trials, strict=True):
        assert (ours.run_dir.name, ours.values, ours.score) == (
            theirs.run_dir.name,
            theirs.values,
            theirs.score,
        )
    search_of(corpus, tmp_path, texts).run(3)
    assert len(trained) == 4  # there was nothing to do


def test_another_search_needs_another_folder(searched, corpus):
    with pytest.raises(UserError, match="holds a search with search.model.hidden_dim='8,16', but"):
        search_of(corpus, searched[1])
    with pytest.raises(
        UserError, match="with experiment.train.steps=2, but this command asks for 4"
    ):
        search_of(corpus, searched[1], (RATES, "model.hidden_dim=8,16"), steps=4)


def test_tensorboards_page_has_the_search(searched):
    """Read by TensorBoard's own plugin, as its page asks it."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    result, folder, _ = searched
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    metadata = context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(
        RequestContext(),
        "",
        True,
        metadata,
        provider.list_hyperparameters(RequestContext(), experiment_ids=[""]),
    )
    assert {info.name for info in experiment.hparam_infos} == {
        "train.learning_rate",
        "model.hidden_dim",
    }
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=9,
        allowed_statuses=[api_pb2.STATUS_SUCCESS],
        col_params=[{"metric": info.name} for info in experiment.metric_infos],
    )
    handler = list_session_groups.Handler(RequestContext(), context, "", request)
    groups = {group.name: group for group in handler.run().session_groups}
    assert len(groups) == 3
    for trial in result.trials:
        group = groups[trial.run_dir.name]
        rate = group.hparams["train.learning_rate"].number_value
        assert rate == pytest.approx(trial.values["train.learning_rate"])
        values = {value.name.tag: value.value for value in group.metric_values}
        assert values["tune/score"] == pytest.approx(trial.score, rel=1e-6)
        assert values["eval/bits_per_byte"] == pytest.approx(trial.score, rel=1e-6)


def test_hyperband_goes_on_with_the_best_run_folder(corpus, tmp_path):
    """Three slices: 3 trials of one, of which the best goes on to three, as if it had never stopped; 2 of three."""
    search = search_of(corpus, tmp_path / "search", tuner="hyperband", steps=6)
    first = search.run(3)
    assert [trial.steps for trial in first.trials] == [2, 2, 2]
    chosen = first.best.run_dir
    result = search_of(corpus, tmp_path / "search", tuner="hyperband", steps=6).run(None)
    steps = {trial.run_dir.name: trial.steps for trial in result.trials}
    assert len(steps) == 5 and sorted(steps.values()) == [2, 2, 6, 6, 6] and steps[chosen.name] == 6
    experiment = tiny_experiment("word2vec", corpus, steps=6, eval_every=2)
    fit.train(space.with_values(experiment, first.best.values), tmp_path / "straight")
    assert differences_of(chosen, tmp_path / "straight") == []


def test_what_cannot_be_trained_fails_alone(corpus, tmp_path):
    texts = ["model.num_heads=3,4"]  # hidden_dim is 32
    result = search_of(corpus, tmp_path, texts, family="gpt_learned").run(5)
    assert [trial.values["model.num_heads"] for trial in result.trials] == [4, 3]
    assert result.trials[1].score is None
    assert "`num_heads` must divide `hidden_dim`" in failures(result)[0]


def test_a_diverged_trial_fails_and_a_wrong_corpus_ends_the_search(corpus, tmp_path):
    texts = ["train.learning_rate=1e-2,1e30"]
    result = search_of(corpus, tmp_path / "a", texts, clip_norm=0.0, warmup_steps=0).run(5)
    assert [trial.values["train.learning_rate"] for trial in result.trials] == [1e-2, 1e30]
    assert "Not a number any more" in result.trials[1].message
    with pytest.raises(UserError, match="No such corpus"):
        search_of(tmp_path / "missing.txt", tmp_path / "b").run(2)


@pytest.mark.parametrize("tuner", oracle.TUNERS)
def test_a_tuner_is_a_function_of_the_record(tuner, corpus):
    """Killed in every trial or never: the trials are the same."""
    experiment = tiny_experiment("word2vec", corpus)
    dimensions = space.parse(["train.learning_rate=0.0..1.0"], experiment)
    settings = oracle.Settings(tuner, seed=3, num_slices=9)

    def trials(interrupted: bool) -> list[float]:
        record, found = None, []
        for _ in range(7):
            guide = oracle.oracle_of(settings, dimensions, record)
            trial = guide.create_trial(oracle.WORKER)
            if interrupted:  # killed while it trains
                record = json.loads(json.dumps(oracle.record_of(guide)))
                guide = oracle.oracle_of(settings, dimensions, record)
                trial = guide.create_trial(oracle.WORKER)
            found.append(trial.hyperparameters.values["train.learning_rate"])
            guide.update_trial(trial.trial_id, {oracle.SCORE: (found[-1] - 0.3) ** 2})
            trial.status = "COMPLETED"
            guide.end_trial(trial)
            record = json.loads(json.dumps(oracle.record_of(guide)))
        return found

    straight = trials(False)
    assert straight == trials(True)
    assert len(set(straight)) == 7
    if tuner == "bayesian":
        assert min(abs(rate - 0.3) for rate in straight[3:]) < 0.05


def test_mistakes(corpus, tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match="Unknown --tuner 'grid'. Choose one of: bayesian, hyperband"
    ):
        search_of(corpus, tmp_path, tuner="grid")
    with pytest.raises(UserError, match="needs at least 3 of them. Received: 1."):
        search_of(corpus, tmp_path, tuner="hyperband")
    with pytest.raises(UserError, match="Set --config.train.epochs=0"):
        search_of(corpus, tmp_path, tuner="hyperband", epochs=1.0)
    with pytest.raises(UserError, match="Leave out --search=train.steps"):
        search_of(corpus, tmp_path, ["train.steps=2..4"], tuner="hyperband", steps=9)
    monkeypatch.setattr(oracle.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "tflm\[tune\]"'):
        search_of(corpus, tmp_path)
    (tmp_path / "search.json").write_text("{")
    monkeypatch.undo()
    with pytest.raises(UserError, match="is damaged"):
        search_of(corpus, tmp_path)


def test_a_search_without_a_result_has_no_best(tmp_path):
    failed = TrialResult(tmp_path, {}, None, 0, 0.0, "why")
    assert SearchResult("loss", [failed]).best is None
    assert dataclasses.replace(SearchResult("loss", []), signal=2).signal == 2


def test_the_program_prints_a_command_that_trains_on(corpus, tmp_path):
    import shlex

    finished = run_program(
        "trainers.tune",
        "--config=word2vec_small",
        f"--corpus={corpus}",
        "--config.tokenizer.kind=byte",
        "--config.train.steps=2",
        "--config.train.eval_every=2",
        "--config.train.sample_tokens=0",
        "--config.train.jit_compile=off",
        f"--search={RATES}",
        "--max_trials=2",
        f"--folder={tmp_path / 'tune'}",
    )
    assert finished.code == 0, finished.err
    lines = finished.out.splitlines()
    assert any(line.startswith("The best one is ") and "bits_per_byte" in line for line in lines)
    command = next(line for line in lines if "trainers.train " in line)
    arguments = shlex.split(command)[3:]
    finished = run_program("trainers.train", *arguments, "--config.train.steps=3")
    assert finished.code == 0, finished.err
    assert "from step 2." in finished.out


def test_a_flag_that_is_missing_is_named():
    finished = run_program("trainers.tune", "--config=gpt_small")
    assert (finished.code, finished.err) == (
        2,
        "error: --folder is missing. Give one for the trials, for example runs/tune.\n",
    )
