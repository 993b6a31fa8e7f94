"""One run of a comparison: its numbers, most of them computed once and then kept in the run folder.

A model is loaded only where something has to be computed that `cache.py` does not have.
"""

import dataclasses
import json
from pathlib import Path

from tflm import config as configs
from tflm import program
from tflm.errors import UserError
from tflm.run import MODEL_FILE, STATE_FILE, RunFolder
from tflm.run_kind import LANGUAGE_MODEL_OBJECTIVES, is_language_model
from trainers.comparison.artifacts import Artifact, read_artifacts
from trainers.comparison.cache import ResultCache
from trainers.evaluation import held_out, nearest_words, run_samples

LARGEST_UNKNOWN_SHARE = 0.01  # above, a model is paid for what it hides behind <unk>
NUM_NEIGHBOURS = 5
# A new way to compute what is kept in run folders makes what they hold worthless.
RESULTS_VERSION = 1


@dataclasses.dataclass
class RunSummary:
    """One run's numbers.

    Attributes:
        name: the folder's name; more of its path where two are called the same.
        objective: its kind, see trainers.objectives.
        experiment: as plain values.
        step: of the checkpoint that was scored: the best one.
        score: LanguageModelScore.to_dict() over the whole split; None for word vectors, which predict nothing.
        unranked: why the run is not ranked; None where it is.
        seconds, tokens: of the whole training.
        flops_per_token: of its training, as `tflm.models.flops` counts them; None where it has no count.
        finished: whether it went to its end.
        training, validation: the lines of metrics.jsonl of each kind.
        card: of the run's token store.
        samples: a continuation for every prompt; empty for word vectors.
        nearest: for some words, the nearest ones with their cosines.
    """

    run_dir: Path
    name: str
    family: str
    objective: str
    experiment: dict
    step: int
    parameters: int
    score: dict | None
    unranked: str | None
    seconds: float
    tokens: int
    flops_per_token: int | None
    finished: bool
    training: list[dict]
    validation: list[dict]
    card: dict
    artifacts: list[Artifact]
    samples: list[str]
    nearest: list[tuple[str, list[tuple[str, float]]]]

    @property
    def is_language_model(self) -> bool:
        return self.objective in LANGUAGE_MODEL_OBJECTIVES


def read_metrics(file: Path) -> dict[str, list[dict]]:
    """The lines of metrics.jsonl by their kind; a line that is cut off is left out."""
    lines = {"train": [], "validation": [], "sample": []}
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return lines
    for line in text.split("\n"):
        try:
            values = json.loads(line)
            lines.setdefault(values["kind"], []).append(values)
        except (ValueError, KeyError, TypeError):
            continue
    return lines


class ComparedRun:
    """One run folder; its model is loaded only where something has to be computed."""

    def __init__(self, run_dir: Path, name: str, say):
        from tflm.text import tokenizer as tokenizers

        self.run_dir, self.name, self._say = run_dir, name, say
        self.folder = RunFolder(run_dir)
        self.experiment = self.folder.read_experiment()
        self.is_language_model = is_language_model(self.experiment)
        self.checkpoint = self._best_checkpoint()
        self.cache = ResultCache(run_dir, self.checkpoint)
        self.tokenizer = tokenizers.load(self.folder.tokenizer_folder)
        self.store, self.words = None, {}
        self._model, self._can_keep = None, True

    def _best_checkpoint(self) -> str:
        """What tells the best checkpoint from any other, read without its weights."""
        folders = sorted(self.folder.checkpoints.glob("step_*"))
        if not folders:
            raise UserError(f"{self.run_dir} has no checkpoint yet. Train it first.")
        best = self.run_dir / "BEST"
        folder = folders[-1]
        if best.exists():
            folder = self.folder.checkpoints / best.read_text(encoding="utf-8").strip()
        try:
            state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
            return f"{folder.name} {state['checksums'][MODEL_FILE]}"
        except (OSError, ValueError, KeyError, TypeError):
            return folder.name  # damaged: loading will fall back to another one, and say so

    def _is_finished(self) -> bool:
        """Whether the training came to its end, all steps or early stopping."""
        newest = sorted(self.folder.checkpoints.glob("step_*"))[-1]
        try:
            state = json.loads((newest / STATE_FILE).read_text(encoding="utf-8"))
            return bool(state["progress"]["finished"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def open_store(self, split: str, progress) -> None:
        from tflm.data.corpora import DataConfig
        from tflm.data.store import build_store

        data = configs.from_dict(DataConfig, self.experiment["data"], "data")
        self.store = build_store(data, self.tokenizer, progress=progress)
        if self.is_language_model:
            self.store.split(split)  # raises where there is none, before anything takes time

    def loaded(self):
        """The run with its model."""
        if self._model is None:
            program.load_backend()
            from tflm import run as runs

            self._model = runs.load(self.run_dir, say=self._say)
            # Where the best checkpoint is damaged another one was loaded, and its results are not kept.
            if not self.checkpoint.startswith(f"step_{self._model.step:08d} "):
                self._can_keep = False
        return self._model

    def forget_model(self) -> None:
        self._model = None

    def _result(self, kind: str, key: dict, compute):
        """What `compute()` gives, as JSON values; kept, or taken from what was kept before."""
        key = {"kind": kind, "version": RESULTS_VERSION, **key}
        if self._can_keep and self.cache.has(key):
            return self.cache.get(key)
        result = json.loads(json.dumps(compute()))
        if self._can_keep:
            self.cache.put(key, result)
        return result

    def summary(self, split, prompts, sample_tokens, wanted_words, evaluate) -> RunSummary:
        facts = self._result("facts", {}, self._facts)
        score = self._score(split, evaluate) if self.is_language_model else None
        metrics = read_metrics(self.folder.metrics_file)
        last = max(
            metrics["train"] + metrics["validation"], key=lambda line: line["step"], default={}
        )
        return RunSummary(
            run_dir=self.run_dir,
            name=self.name,
            family=self.experiment["model"]["family"],
            objective=self.experiment["objective"]["kind"],
            experiment=self.experiment,
            step=facts["step"],
            parameters=facts["parameters"],
            score=score,
            unranked=self._why_unranked(score),
            seconds=last.get("seconds", 0.0),
            tokens=last.get("tokens", 0),
            flops_per_token=self._flops_per_token() if self.is_language_model else None,
            finished=self._is_finished(),
            training=metrics["train"],
            validation=metrics["validation"],
            card=self.store.card,
            artifacts=read_artifacts(self.run_dir, self._say),
            samples=self._samples(prompts, sample_tokens),
            nearest=self._nearest(wanted_words),
        )

    def _facts(self) -> dict:
        return {"step": self.loaded().step, "parameters": self.loaded().model.count_params()}

    def _flops_per_token(self) -> int | None:
        length = self.experiment["train"]["sequence_length"]

        def compute():
            from tflm import models
            from tflm.models.flops import training_flops_per_token

            return training_flops_per_token(models.from_dict(self.experiment["model"]), length)

        return self._result("flops", {"sequence_length": length}, compute)

    def _score(self, split: str, progress) -> dict:
        train = self.experiment["train"]
        key = {"split": split, "store": self.store.fingerprint}
        key |= {name: train[name] for name in ("sequence_length", "batch_size", "accumulation")}
        return self._result("score", key, lambda: self._compute_score(split, progress))

    def _compute_score(self, split: str, progress) -> dict:
        tokens = self.store.split(split)
        named = None
        if progress is not None:
            named = lambda text, done, total: progress(f"{text} {self.name}", done, total)  # noqa: E731
        return run_samples.score(self.loaded(), tokens, named)

    def _why_unranked(self, score: dict | None) -> str | None:
        key, data = {"store": self.store.fingerprint}, self.experiment["data"]
        changed = None
        if score is not None:
            changed = self._result(
                "changed text", key, lambda: held_out.changed_text(self.tokenizer, data)
            )
        return why_unranked(score, changed)

    def _samples(self, prompts: list[str], num_tokens: int) -> list[str]:
        if not self.is_language_model or not prompts:
            return []
        key = {"prompts": prompts, "tokens": num_tokens, "sampling": run_samples.SAMPLING}
        return self._result(
            "samples", key, lambda: run_samples.samples(self.loaded(), prompts, num_tokens)
        )

    def _nearest(self, wanted: list[str]) -> list:
        key = {"words": wanted, "neighbours": NUM_NEIGHBOURS, "store": self.store.fingerprint}
        return self._result("nearest", key, lambda: self._compute_nearest(wanted))

    def _compute_nearest(self, wanted: list[str]) -> list:
        if not any(word in self.words for word in wanted):
            return []
        from keras import ops

        vectors = ops.convert_to_numpy(self.loaded().model.embeddings())
        return nearest_words.nearest_words(vectors, self.words, wanted, NUM_NEIGHBOURS)


def why_unranked(score: dict | None, changed) -> str | None:
    """Why bits per byte would not say how good a model is; None where they do.

    Args:
        score: LanguageModelScore.to_dict(), None where there is none.
        changed: of `held_out.changed_text`.
    """
    if score is None:
        return "it predicts no text, so it has no bits per byte"
    share = score["unknown_share"]
    if share > LARGEST_UNKNOWN_SHARE:
        return (
            f"{share:.1%} of its tokens are <unk>, above {LARGEST_UNKNOWN_SHARE:.0%}: "
            "what is hidden behind <unk> is not predicted"
        )
    if changed is not None:
        before, after = (_shortened(text) for text in changed)
        return f"lossy: its tokenizer turns {before} into {after}, which is easier to predict"
    return None


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
