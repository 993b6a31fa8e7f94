"""The runs that a program lets speak: one, or several as an ensemble."""

import dataclasses

from tflm.errors import UserError


@dataclasses.dataclass
class Speaker:
    """
    Attributes:
        runs: tflm.run.Run, at least one.
        model: of the run, or the Ensemble of all.
        settings: with which they were loaded.
    """

    runs: list
    model: object
    settings: dict

    @property
    def tokenizer(self):
        return self.runs[0].tokenizer

    @property
    def reads_sources(self) -> bool:
        """Whether it writes a target for a source; False for one that continues a text."""
        return self.runs[0].is_sequence_to_sequence

    def translator(self, truncate: bool = False):
        """A Translator; of what continues texts, one that does just that."""
        from tflm.generation.translate import SOURCE, Translator

        run = self.runs[0]
        prompt_format = None if hasattr(run.model, "encode") else SOURCE
        if prompt_format and self.reads_sources:
            prompt_format = run.experiment["objective"]["prompt_format"]
        return Translator(self.model, run.tokenizer, run.source_tokenizer, prompt_format, truncate)

    def identity(self) -> dict:
        """What decides what it says, as JSON values."""
        runs = [{"run": str(run.run_dir.resolve()), "step": run.step} for run in self.runs]
        return {"runs": runs, **self.settings}


def load(run_dirs: str, step: int | None, precision: str, average: int, say) -> Speaker:
    """
    Args:
        run_dirs: a run folder, or several with commas between them.
        average: as the rest, see `tflm.run.load`.

    Raises:
        UserError: for runs that cannot speak, or not with one voice.
    """
    from tflm import run as runs

    loaded = [
        runs.load(folder, step, precision, say=say, average=average)
        for folder in run_dirs.split(",")
    ]
    first = loaded[0]
    for run in loaded:
        if not (run.is_language_model or run.is_sequence_to_sequence):
            raise UserError(f"{run.run_dir} holds no language model: it has nothing to say.")
        if _kind(run) != _kind(first):
            raise UserError(
                "The runs of an ensemble must have read and written the same ids. "
                f"{run.run_dir} differs from {first.run_dir} in its {_difference(run, first)}."
            )
    settings = {"precision": precision, "average": average}
    if len(loaded) == 1:
        return Speaker(loaded, first.model, settings)
    from tflm.generation.ensemble import Ensemble

    return Speaker(loaded, Ensemble([run.model for run in loaded]), settings)


def _kind(run) -> dict:
    return {
        "objective": run.experiment["objective"]["kind"],
        "way to read a source": (
            "encoder"
            if hasattr(run.model, "encode")
            else run.experiment["objective"].get("prompt_format")
        ),
        "tokenizer": run.tokenizer.fingerprint(),
        "source tokenizer": run.source_tokenizer.fingerprint(),
    }


def _difference(run, other) -> str:
    ours, theirs = _kind(run), _kind(other)
    return next(name for name in ours if ours[name] != theirs[name])
