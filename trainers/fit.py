"""From an experiment to a trained run folder.

The order matters, and is this: lock the folder, read what is there, tokenizer, token store, model, batches (which say
how many steps an epoch has), optimizer, the checkpoint over all of them, the data from that step on, then Keras' `fit`
in slices that end where validation is due.
"""

import contextlib
import dataclasses
import functools
import math
import shutil

import filelock
import keras

from tflm import models, program
from tflm.data.parallel_store import describe_pairs
from tflm.data.question_store import describe_questions
from tflm.data.store import build_store
from tflm.errors import UserError
from tflm.models.flops import training_flops_per_token
from tflm.run import RunFolder
from tflm.text import tokenizer as tokenizers
from trainers import (
    callbacks,
    compilation,
    distribution,
    feed,
    going_on,
    layer_rates,
    mfu,
    objectives,
    optimizers,
    out_of_memory,
    precision,
    pretrained,
    samples,
    tokenizer_of,
)
from trainers import experiment as experiments
from trainers.experiment import Experiment
from trainers.initialize_from import initialize_from
from trainers.journal import write_projector
from trainers.profiler import Profiler
from trainers.terminal import Progress, say, warn
from trainers.train_step import updates_rows
from trainers.update_ratio import UpdateRatio

PROJECTOR_TOKENS = 5_000  # more than that is slow to look at


@dataclasses.dataclass
class Result:
    """
    Attributes:
        metrics: of the last validation.
        signal: the number of the signal that ended the training, else None.
    """

    progress: callbacks.Progress
    metrics: dict
    signal: int | None


def train(experiment: Experiment, run_dir, profile_steps=(), fit=None, distribute=None, until=None):
    """Trains, or goes on where the run folder stands.

    Args:
        profile_steps: the first and the last step to record, or ().
        fit: what is done with all that is prepared, in place of the training: see `_fit`.
        distribute: over which devices, see `distribution.start`; no part of the run, which may go on with others.
        until: a multiple of train.eval_every, to leave the training there as one that goes on later; None for its end.

    Returns:
        Result, or what `fit` gives.

    Raises:
        UserError: for whatever the user can mend.
    """
    pretrained.adopt(experiment, RunFolder(run_dir))
    experiments.check(experiment)
    group = distribution.start(distribute, experiment)
    folder = group.folder(run_dir)
    folder.create()
    fit = fit or functools.partial(_fit, group=group, profile_steps=profile_steps, until=until)
    alone = _only_one(folder) if group.is_chief else contextlib.nullcontext()
    with group.watch(), alone, group.scope():
        return group.until_it_fits(
            lambda: _train(experiment, folder, fit, group, until), experiment, folder
        )


@contextlib.contextmanager
def _only_one(folder: RunFolder):
    lock = filelock.FileLock(folder.path / ".lock", blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise UserError(
            f"Another process is training in {folder.path}. Wait for it or give another --run_dir."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot write the run folder {folder.path}: {error.strerror}. Give another --run_dir."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _train(experiment: Experiment, folder: RunFolder, fit, group, until):
    config = experiment.train
    if folder.exists():
        going_on.refuse_another(experiment, folder)
    objective = objectives.build(experiment.objective)
    with group.chief_first():
        tokenizer, source_tokenizer = _tokenizers(experiment, folder, objective, group.is_chief)
    objectives.check_special_ids(
        experiment.objective, models.family_of(experiment.model), tokenizer
    )
    if hasattr(objective, "read_tokenizers"):
        objective.read_tokenizers(tokenizer, source_tokenizer)
    if not experiment.model.vocabulary_size:
        experiment.model.vocabulary_size = tokenizer.vocabulary_size
    if experiment.model.vocabulary_size < tokenizer.vocabulary_size:
        raise UserError(
            f"`model.vocabulary_size` is {experiment.model.vocabulary_size}, but the tokenizer has "
            f"{tokenizer.vocabulary_size} tokens. Leave it at 0 to take the tokenizer's."
        )
    tokenize = Progress("bytes")
    open_store = getattr(objective, "open_store", build_store)
    with group.chief_first():  # the others find it in the cache, where they share one
        store = open_store(experiment.data, tokenizer, progress=tokenize)
    tokenize.close()
    for line in describe(store.card):
        say(line)
    if hasattr(objective, "fill_in"):
        objective.fill_in(experiment.model, store)
    settings = experiments.to_dict(experiment)
    del settings["data"]  # paths may differ, the text may not
    group.check_same(settings=settings, text=store.fingerprint)
    with out_of_memory.caught():
        training, source = _fastest_training(experiment, objective, store, tokenizer, group)
    model = training.model
    progress = callbacks.Progress()
    state = callbacks.TrainingState(training, progress, store.fingerprint)
    checkpoint = folder.load_latest(say=warn)
    if checkpoint is None and config.init_from is not None:
        say(_initialized(model, tokenizer, config.init_from, store.split("train")))
    if checkpoint is not None:
        state.restore(checkpoint, str(folder.path))
        say(f"Going on in {folder.path} from step {progress.step:,}.")
        if checkpoint.state.get("store", store.fingerprint) != store.fingerprint:
            warn(
                "The tokens are not those of the steps so far: the text has changed, or tflm has. "
                "The training goes on with the new ones."
            )
        # `steps` and `early_stopping` may have changed since.
        stalled = progress.has_stalled(config.early_stopping)
        progress.finished = stalled or progress.step >= config.steps
    group.check_same(checkpoint=progress.step)
    say(
        f"{models.family_of(experiment.model)}: {model.count_params():,} parameters, {config.precision}, "
        f"{keras.backend.backend()}{' with XLA' if training.jit_compile else ''}, run folder {folder.path}"
    )
    if group.num_replicas > 1:
        say(f"distributed: {group.describe()}.")
    if progress.finished:
        say(f"The training is finished, at step {progress.step:,}. Nothing to do.")
    if progress.finished or (until is not None and progress.step >= until):
        return Result(progress, checkpoint.state["metrics"], None)
    with out_of_memory.caught(progress):
        return fit(experiment, folder, state, store, tokenizer, objective, source)


def _initialized(model, tokenizer, source: str, split) -> str:
    """Lets the model begin with what `source` knows; a line that says what that was."""
    if (line := pretrained.load_weights(model, source)) is not None:
        return line
    reading = Progress("bytes")
    try:
        return initialize_from(model, tokenizer, source, split, progress=reading)
    finally:
        reading.close()


def _fastest_training(experiment, objective, store, tokenizer, group):
    """The training and its batches, in the precision and with or without XLA as the experiment says.

    What the experiment leaves open ("auto") is measured and put into it.
    """
    config = experiment.train

    def build(policy: str, compiled: bool):
        initializers = getattr(objective, "initializers", None)
        model = models.build(experiment.model, config.seed, policy, initializers)
        models.read_vocabulary(model, tokenizer)
        source = objective.batches(store.split("train"), model, config)
        if config.epochs:  # before the optimizer, whose learning rate falls until the last step
            config.steps = math.ceil(config.epochs * source.steps_per_epoch)
        layer_rates.freeze(model, config.frozen)
        training = group.training_model(model, objective, config)
        training.shapes_vary = feed.shapes_vary(source)
        # Keras' own slots for tables whose rows the objective updates would be of no use, and as large as the tables.
        variables = [] if updates_rows(objective) else model.trainable_variables
        optimizer = optimizers.build(config, variables, policy)
        layer_rates.apply_layer_rates(optimizer, model, config.layer_decay, config.unfreeze_every)
        # Keras would wrap an optimizer of its own choice around ours under mixed_float16.
        jit_compile = compiled and group.can_compile
        training.compile(optimizer=optimizer, jit_compile=jit_compile, auto_scale_loss=False)
        return training, source

    def choices(operations: float):
        precisions = precision.choices(objective, config.precision, operations)
        return compilation.candidates(config, precisions, updates_rows(objective))

    chosen = choices(operations=0)[0]
    training, source = build(*chosen)
    if config.epochs:
        say(f"{config.epochs:g} epochs are {config.steps:,} steps.")
    if not group.can_compile:
        if config.jit_compile == "on":
            warn("XLA compiles no step under tf.distribute: train.jit_compile=on changes nothing.")
        else:
            config.jit_compile = "off"
        config.precision = chosen[0]
        return training, source
    per_token = training_flops_per_token(experiment.model, config.sequence_length) or 0
    left = choices(per_token * source.tokens_per_step)
    best = compilation.fastest(build, left, config.steps, say)
    if best != chosen:
        chosen = best
        training, source = build(*chosen)
    config.precision, config.jit_compile = chosen[0], "on" if chosen[1] else "off"
    return training, source


def _fit(
    experiment, folder, state, store, tokenizer, objective, source, group, profile_steps, until
) -> Result:
    config, training, progress = experiment.train, state.training, state.progress
    model = training.model
    held_out = store.split("validation")
    evaluate = objective.evaluator(model, config, tokenizer)
    is_language_model = objective.score_name == "bits_per_byte"
    bits_per_nat = None
    if is_language_model and objective.loss_is_nats:
        bits_per_nat = callbacks.bits_per_nat(store.split("train"))
    journal = group.journal(folder, progress.step)
    log = callbacks.StepLog(
        config,
        progress,
        journal,
        schedule=optimizers.learning_rate(config),
        tokens_per_step=source.tokens_per_step,
        bits_per_nat=bits_per_nat,
        mfu_per_token=mfu.per_token(
            experiment, objective, source.tokens_per_step, group.num_devices
        ),
    )
    draw = list
    if hasattr(evaluate, "samples"):
        draw = evaluate.samples
    elif is_language_model and group.is_chief:
        draw = samples.continuations(model, tokenizer, config)
    validation = callbacks.Validation(
        config,
        state,
        folder,
        journal,
        evaluate=lambda: group.from_chief(lambda: evaluate(held_out, config.eval_tokens)),
        samples=draw,
        score_name=objective.score_name,
    )
    profiler = Profiler(folder, progress, *(profile_steps if group.is_chief else ()))
    if not folder.exists():  # only now: a start that fails before leaves no run behind
        folder.write_experiment(experiments.to_dict(experiment))
    else:
        going_on.note_changes(experiment, folder)
    group.prepare(training)
    with callbacks.GracefulStop(group.any) as stop:
        try:
            # Keras' own tags come last, so that they hold what the others put into the logs.
            hooks = [log, UpdateRatio(config, progress, journal), profiler, validation, stop]
            hooks += _keras_tensorboard(folder) if group.is_chief else []
            end = config.steps if until is None else min(until, config.steps)
            for first, last, steps in slices(progress.step, end, config.eval_every):
                training.fit(
                    group.dataset(source, progress.step, config.steps, config.accumulation),
                    initial_epoch=first,
                    epochs=last,
                    steps_per_epoch=steps,
                    callbacks=hooks,
                    shuffle=False,
                    verbose=0,
                )
                if training.stop_training:
                    break
        finally:
            profiler.close()
            log.bar.close()
            journal.close()
    if stop.received is not None and progress.step % config.eval_every:
        folder.save(state.to_checkpoint(validation.metrics), False, config.keep_checkpoints)
    if stop.received is not None and not progress.finished:
        say(f"Saved at step {progress.step:,}. The same command goes on from there.")
        return Result(progress, validation.metrics, stop.received)
    with group.chief_first():
        if group.is_chief and progress.finished:  # not one that is left to go on later
            _write_projector(folder, state, tokenizer)
    return Result(progress, validation.metrics, None)


def _write_projector(folder: RunFolder, state, tokenizer) -> None:
    if not hasattr(state.training.model, "embeddings"):
        return
    # `model.vocabulary_size` may be larger than the tokenizer's.
    names = [tokenizer.piece(i) for i in range(min(tokenizer.vocabulary_size, PROJECTOR_TOKENS))]
    with state.averaged():
        vectors = keras.ops.convert_to_numpy(state.training.model.embeddings())[: len(names)]
    write_projector(folder, vectors, names)


def slices(start: int, end: int, every: int):
    """The calls of `fit` that take the training from `start` to `end` with a slice ending at each multiple of `every`.

    Yields:
        (initial_epoch, epochs, steps_per_epoch); epoch i ends at step (i + 1) * every.
    """
    while start < end:
        epoch, within = divmod(start, every)
        if within == 0 and end - start >= every:
            yield epoch, end // every, every
            start = end // every * every
        else:  # the rest of a slice, or the short one at the end
            stop = min(end, (epoch + 1) * every)
            yield epoch, epoch + 1, stop - start
            start = stop


def _keras_tensorboard(folder: RunFolder) -> list:
    try:
        with program.quiet_native_messages():
            import tensorflow  # noqa: F401
    except ImportError:  # under JAX alone there are tflm's own tags only
        return []
    return [keras.callbacks.TensorBoard(str(folder.path / "tensorboard"), write_graph=False)]


def _tokenizers(experiment: Experiment, folder: RunFolder, objective, is_chief: bool):
    """The tokenizer, and that of the source, which is the same where it has none of its own."""
    wanted = {folder.tokenizer_folder: False}
    if getattr(experiment.objective, "source_tokenizer", None) is not None:
        wanted[folder.source_tokenizer_folder] = True
    if is_chief and not folder.exists():
        for place in (folder.tokenizer_folder, folder.source_tokenizer_folder):
            # A start that failed before it became a run may have left one of other text or other settings.
            shutil.rmtree(place, ignore_errors=True)
        for place, of_source in wanted.items():
            tokenizer_of.keep(tokenizer_of.tokenizer_of(experiment, objective, of_source), place)
    loaded = [tokenizers.load(place) for place in wanted]
    return loaded[0], loaded[-1]


def describe(card: dict) -> list[str]:
    """The corpus in a few lines: where it comes from, and what each split holds."""
    skipped = card["skipped_files"]
    source = ", ".join(f"{split} from {name}" for split, name in card["corpus"].items())
    lines = [
        f"corpus: {source}; {card['files']:,} files, "
        f"skipped {skipped['unknown_kind']:,} of unknown kind and {skipped['bad']:,} bad"
    ]
    lines += [f"  skipped: {bad}" for bad in card["bad_files"]]
    for name, split in card["splits"].items():
        lines.append(
            f"  {name:<10} {split['documents']:>9,} documents {split['bytes'] / 1e6:>9.2f} MB "
            f"{split['tokens']:>12,} tokens {split['words']:>11,} words  {split['unknown_share']:.2%} <unk>, "
            f"removed {split['duplicates_removed']:,} duplicates and {split['shared_removed']:,} shared"
        )
    if "source_dtype" in card:
        lines += describe_pairs(card)
    if "question_bytes" in card["splits"]["train"]:
        lines += describe_questions(card)
    return lines
