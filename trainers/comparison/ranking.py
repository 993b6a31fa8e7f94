"""Runs side by side: the numbers of each, over the same text, and which is best."""

import dataclasses
import json
from pathlib import Path

from tflm.errors import UserError
from trainers.comparison.runs import ComparedRun, RunSummary
from trainers.evaluation import held_out, nearest_words, run_samples

NUM_WORDS = 8


@dataclasses.dataclass
class Comparison:
    """Runs, the best first; those that are not ranked come last.

    Attributes:
        split: what they were scored on.
        prompts: what the samples continue.
    """

    split: str
    prompts: list[str]
    runs: list[RunSummary]

    @property
    def ranked(self) -> list[RunSummary]:
        return [run for run in self.runs if run.unranked is None]


def compare(
    run_dirs,
    split: str = "validation",
    prompts=None,
    sample_tokens: int = 60,
    tokenize=None,
    evaluate=None,
    say=lambda text: None,
) -> Comparison:
    """Gathers and computes all there is to compare.

    Args:
        run_dirs: run folders, at least one.
        split: validation or test.
        prompts: to continue; None for the runs' own and some beginnings of held-out documents.
        sample_tokens: tokens of a continuation; 0 for no samples.
        tokenize, evaluate: progress callbacks, in bytes and in batches.
        say: told of what was passed over.

    Raises:
        UserError: for folders that are no trained runs, and for runs whose texts differ.
    """
    run_dirs = [Path(run_dir) for run_dir in run_dirs]
    if not run_dirs:
        raise UserError(
            "There is no run to compare. Give run folders, for example --runs=runs/a,runs/b."
        )
    names = distinct_names(run_dirs)
    sources = [ComparedRun(path, name, say) for path, name in zip(run_dirs, names, strict=True)]
    language_models = [source for source in sources if source.is_language_model]
    _refuse_different_texts(language_models, split)
    for source in sources:
        source.open_store(split, tokenize)
    if not sample_tokens:
        prompts = []
    elif not prompts:
        prompts = default_prompts(language_models, split)
    for source in sources:
        source.words = nearest_words.words_of(source.tokenizer, source.store.split("train"))
    wanted = nearest_words.choose_words([source.words for source in sources], NUM_WORDS)
    runs = []
    for source in sources:
        runs.append(source.summary(split, prompts, sample_tokens, wanted, evaluate))
        source.forget_model()
    return Comparison(split, prompts, ranked(runs))


def ranked(runs: list[RunSummary]) -> list[RunSummary]:
    """The ranked ones by bits per byte, then the others: those with a score first."""

    def key(run):
        score = run.score["bits_per_byte"] if run.score else float("inf")
        return run.unranked is not None, run.score is None, score, run.name

    return sorted(runs, key=key)


def distinct_names(run_dirs: list[Path]) -> list[str]:
    """The folders' names, with as much of their paths as tells them apart.

    Raises:
        UserError: where a folder is given twice.
    """
    resolved = [path.resolve() for path in run_dirs]
    for path, given in zip(resolved, run_dirs, strict=True):
        if resolved.count(path) > 1:
            raise UserError(f"{given} is given twice. Name every run folder once.")
    length, names = 1, [path.name for path in resolved]
    while len(set(names)) < len(names):
        length += 1
        names = ["/".join(path.parts[-length:]) for path in resolved]
    return names


def default_prompts(sources, split: str) -> list[str]:
    """The prompts of the runs' own samples, and how two documents of the held-out text begin."""
    if not sources:
        return []
    own = (p for source in sources for p in source.experiment["train"]["sample_prompts"])
    # Of a tokenizer that spells everything, if there is one, the text is what it was.
    teller = max(sources, key=lambda source: source.tokenizer.lossless)
    beginnings = run_samples.beginnings(teller.tokenizer, teller.store.split(split), number=2)
    return list(dict.fromkeys([*own, *beginnings]))


def configuration_differences(runs: list[RunSummary]) -> dict[str, list]:
    """The settings in which runs differ: `room.field` -> the value of each run, None where it has no such field."""
    flat = [
        {
            f"{room}.{field}": value
            for room, fields in run.experiment.items()
            for field, value in fields.items()
        }
        for run in runs
    ]
    names = dict.fromkeys(name for settings in flat for name in settings)
    rows = {name: [settings.get(name) for settings in flat] for name in names}
    return {
        name: values for name, values in rows.items() if any(v != values[0] for v in values[1:])
    }


def _refuse_different_texts(sources, split: str) -> None:
    if len(sources) < 2:
        return
    first, known = sources[0], {}
    for source in sources:
        data = json.dumps({**source.experiment["data"], "workers": 0}, sort_keys=True)
        if data not in known:
            known[data] = held_out.text_fingerprint(source.experiment["data"])
        if known[data] == next(iter(known.values())):
            continue
        ours, theirs = first.experiment["data"], source.experiment["data"]
        differing = [n for n in ours if n != "workers" and ours[n] != theirs.get(n)]
        what = ", ".join(f"data.{n} is {ours[n]!r} and {theirs.get(n)!r}" for n in differing)
        raise UserError(
            f"{first.name} and {source.name} cannot be compared: {what}, so their {split} texts differ. "
            "Give runs that were trained on the same text, split the same way."
        )
