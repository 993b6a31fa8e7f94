"""What TensorBoard's HParams page reads: the search beside the trials, and the values of each inside its run folder."""

import time
from pathlib import Path

from trainers.search.space import Dimension

SUFFIX = ".hparams"  # of our event files: each is written anew
SCORE_TAG = "tune/score"


def write_search(folder, dimensions: list[Dimension], score_name: str) -> None:
    """The fields that are searched and the scores, for `tensorboard --logdir <folder>`.

    Args:
        folder: of the search.
        score_name: the validation's metric that decides.
    """
    from tensorboard.plugins.hparams import summary_v2 as summaries

    parameters = [summaries.HParam(d.field, _domain(d)) for d in dimensions]
    metrics = [
        summaries.Metric(SCORE_TAG, display_name=f"{score_name}, best"),
        summaries.Metric(f"eval/{score_name}", group="validation", display_name=score_name),
    ]
    _write(folder, [(0, summaries.hparams_config_pb(parameters, metrics))])


def write_trial(
    run_dir: Path,
    values: dict,
    score: float | None = None,
    step: int = 0,
    has_failed: bool = False,
) -> None:
    """The values of a trial, and how it ended once it has.

    Args:
        run_dir: of the trial.
        values: field -> value.
        score, step: of its best validation, and how far the training is; None while it runs.
        has_failed: whether it failed.
    """
    from tensorboard.plugins.hparams import summary, summary_v2
    from tensorboard.plugins.hparams.api_pb2 import Status
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    entries = [(0, summary_v2.hparams_pb(values, trial_id=run_dir.name))]
    if score is not None:
        entries.append((step, scalar_pb(SCORE_TAG, score)))
    if score is not None or has_failed:
        status = Status.STATUS_FAILURE if has_failed else Status.STATUS_SUCCESS
        entries.append((step, summary.session_end_pb(status)))
    _write(run_dir / "tensorboard", entries)


def _domain(dimension: Dimension):
    from tensorboard.plugins.hparams import summary_v2 as summaries

    if dimension.choices:
        return summaries.Discrete(dimension.choices)
    if dimension.kind is int:
        return summaries.IntInterval(dimension.low, dimension.high)
    return summaries.RealInterval(dimension.low, dimension.high)


def _write(folder, entries) -> None:
    """One event file with (step, summary) pairs, in place of an earlier one of ours."""
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
        earlier.unlink()
    writer = EventFileWriter(str(folder), filename_suffix=SUFFIX)
    for step, summary in entries:
        event = event_pb2.Event(step=step, wall_time=time.time())
        # Some of TensorBoard's functions give TensorFlow's own class of the same message.
        event.summary.MergeFromString(summary.SerializeToString())
        writer.add_event(event)
    writer.close()
