"""Runs that write a target for a source, side by side: what they write, how well and how fast.

All translate the same texts, with the same beam. What was computed of a checkpoint is kept in the run folder.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

from tflm.errors import UserError
from tflm.generation.beam import BeamConfig
from trainers.attention_maps import AttentionMap, attention_map
from trainers.comparison.artifacts import Artifact, read_artifacts
from trainers.comparison.ranking import distinct_names
from trainers.comparison.runs import ComparedRun, read_metrics
from trainers.evaluation import translation

NUM_SAMPLES = 5
NUM_MAPS = 2  # of the samples, with a picture of where each model looked
# What decides who is best, by the metric of the runs' objectives.
DECIDES = {"bleu": "bleu", "rouge": "rouge_l"}


@dataclasses.dataclass
class TranslationSummary:
    """One run's numbers.

    Attributes:
        name: the folder's name; more of its path where two are called the same.
        score: as `translation.translate` gives it, with nats_per_token.
        seconds, tokens: of the whole training.
        speed: tokens of targets a second, see `translation.decoding_speed`.
        training, validation: the lines of metrics.jsonl of each kind.
        translations: of the comparison's samples.
        maps: of the first samples, where the model looked; empty for one that does not say.
    """

    run_dir: Path
    name: str
    family: str
    experiment: dict
    step: int
    parameters: int
    score: dict
    seconds: float
    tokens: int
    flops_per_token: int | None
    finished: bool
    speed: float
    training: list[dict]
    validation: list[dict]
    artifacts: list[Artifact]
    translations: list[str]
    maps: list[AttentionMap]


@dataclasses.dataclass
class TranslationComparison:
    """Runs, the best first.

    Attributes:
        split: what they were scored on; pairs: how many.
        metric: of DECIDES.
        samples: pairs (source, reference).
    """

    split: str
    pairs: int
    metric: str
    search: BeamConfig
    samples: list[tuple[str, str]]
    runs: list[TranslationSummary]


class ComparedTranslator(ComparedRun):
    """One run folder; its model is loaded only where something has to be computed."""

    def open_texts(self, split: str, progress) -> None:
        self.pairs = translation.texts_of(self._without_model(), split, None, progress)
        texts = json.dumps([[pair.source, pair.target] for pair in self.pairs])
        self.fingerprint = hashlib.blake2b(texts.encode(), digest_size=16).hexdigest()

    def summary(self, split: str, search: BeamConfig, rows: list[int]) -> TranslationSummary:
        facts = self._result("facts", {}, self._facts)
        key = {"texts": self.fingerprint, "search": dataclasses.asdict(search)}
        score = self._result("translation", key, lambda: self._translated(split, search))
        speed = self._result("decoding speed", key, lambda: self._speed(search))
        samples = self._result(
            "translations", key | {"rows": rows}, lambda: self._samples(search, rows)
        )
        metrics = read_metrics(self.folder.metrics_file)
        last = max(
            metrics["train"] + metrics["validation"], key=lambda line: line["step"], default={}
        )
        return TranslationSummary(
            run_dir=self.run_dir,
            name=self.name,
            family=self.experiment["model"]["family"],
            experiment=self.experiment,
            step=facts["step"],
            parameters=facts["parameters"],
            score=score,
            seconds=last.get("seconds", 0.0),
            tokens=last.get("tokens", 0),
            flops_per_token=self._flops_per_token(),
            finished=self._is_finished(),
            speed=speed,
            training=metrics["train"],
            validation=metrics["validation"],
            artifacts=read_artifacts(self.run_dir, self._say),
            translations=[text for text, _ in samples],
            maps=[AttentionMap(**found) for _, found in samples if found],
        )

    def _without_model(self):
        from tflm.run import Run
        from tflm.text import tokenizer as tokenizers

        own = self.folder.source_tokenizer_folder
        source_tokenizer = tokenizers.load(own) if own.is_dir() else None
        return Run(self.run_dir, None, self.tokenizer, self.experiment, 0, {}, source_tokenizer)

    def _translator(self):
        from trainers.speakers import Speaker

        return Speaker([self.loaded()], self.loaded().model, {}).translator(truncate=True)

    def _translated(self, split: str, search) -> dict:
        run = self.loaded()
        return translation.loss_of(run, split) | translation.translate(
            self._translator(), run, self.pairs, search
        )

    def _speed(self, search) -> float:
        sources = [pair.source for pair in self.pairs]
        return translation.decoding_speed(self._translator(), self.loaded(), sources, search)

    def _samples(self, search, rows: list[int]) -> list:
        run = self.loaded()
        sources = [self.pairs[row].source for row in rows]
        texts = self._translator().translate(sources, search)
        maps = []
        for source, text in list(zip(sources, texts, strict=True))[:NUM_MAPS]:
            found = attention_map(
                run.model,
                run.tokenizer,
                run.source_tokenizer,
                [*run.source_tokenizer.encode(source), run.source_tokenizer.eos_id],
                run.tokenizer.encode(text),
            )
            maps.append(found and dataclasses.asdict(found))
        return [[text, (maps + [None] * len(texts))[i]] for i, text in enumerate(texts)]


def compare_translations(
    run_dirs, split: str, search: BeamConfig, tokenize=None, say=lambda text: None
) -> TranslationComparison:
    """Gathers and computes all there is to compare.

    Args:
        run_dirs: run folders of the objective seq2seq, at least one.
        split: validation or test.
        tokenize: progress callback, in bytes.
        say: told of what was passed over, and of which run is at work.

    Raises:
        UserError: for folders that are no trained runs, and for runs whose texts or metrics differ.
    """
    run_dirs = [Path(run_dir) for run_dir in run_dirs]
    names = distinct_names(run_dirs)
    sources = [
        ComparedTranslator(path, name, say) for path, name in zip(run_dirs, names, strict=True)
    ]
    for source in sources:
        source.open_texts(split, tokenize)
    first = sources[0]
    metrics = [source.experiment["objective"]["metric"] for source in sources]
    for source, metric in zip(sources, metrics, strict=True):
        what = None
        if source.fingerprint != first.fingerprint:
            what = f"their {split} texts differ"
        elif metric != metrics[0]:
            what = f"objective.metric is {metrics[0]!r} and {metric!r}"
        if what:
            raise UserError(
                f"{first.name} and {source.name} cannot be compared: {what}. Give runs that were trained on the same "
                "pairs, for the same metric."
            )
    number = min(NUM_SAMPLES, len(first.pairs))
    rows = [len(first.pairs) * (2 * i + 1) // (2 * number) for i in range(number)]
    runs = []
    for source in sources:
        say(f"{source.name}: translates {len(source.pairs):,} texts, where it has not before.")
        runs.append(source.summary(split, search, rows))
        source.forget_model()
    decides = DECIDES[metrics[0]]
    runs.sort(key=lambda run: (-run.score[decides], run.name))
    samples = [(first.pairs[row].source, first.pairs[row].target) for row in rows]
    return TranslationComparison(split, len(first.pairs), metrics[0], search, samples, runs)
