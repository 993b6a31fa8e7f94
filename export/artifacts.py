"""From a run to proved artifacts in an export folder.

    EXPORT/saved_model/1/...   EXPORT/model_float32.tflite   EXPORT/vectors.vec   EXPORT/tokenizer/...
    EXPORT/manifest.json

An artifact is written beside its place and moved there only when it is proved.
"""

import dataclasses
import datetime
import shutil
from pathlib import Path

from export import formats, lengths, manifest
from export.prover import Prover
from export.thresholds import PROOF_PAIRS
from tflm.errors import UserError
from tflm.program import quiet_native_messages


@dataclasses.dataclass
class Exported:
    """What came of one artifact.

    Attributes:
        path: relative to the export folder.
        failures: why it was removed again; empty where it was kept.
    """

    path: str
    format: str
    quantization: str
    bytes: int
    figures: dict
    failures: list[str]


def export_run_folder(
    run_dir: Path,
    output_dir: Path,
    pairs: list[tuple[str, str]],
    prefill_lengths: tuple[int, ...] | None = None,
    cache_length: int | None = None,
    step: int | None = None,
    say=None,
    similarity: dict | None = None,
    num_pairs: int = PROOF_PAIRS,
    **translation,
) -> list[Exported]:
    """Loads the run and exports it.

    Args:
        prefill_lengths, cache_length: None for what suits the model, see `lengths.settled`.
        step: which checkpoint; None for the best.
        similarity: name -> pairs, the sets that word vectors are measured on, see `similarity.SimilaritySets`.
        translation: source, beam_size and length_penalty of `lengths.settled`.
        the rest: as in `export`.
    """
    from tflm import run as runs

    say = say or (lambda text: None)
    with quiet_native_messages():
        import keras

        if keras.backend.backend() != "tensorflow":
            raise UserError(
                f"Export needs Keras on TensorFlow; this process runs it on {keras.backend.backend()}. "
                "Start it with KERAS_BACKEND=tensorflow."
            )
        run = runs.load(run_dir, step=step, say=say)
        settled = lengths.settled(run.model, prefill_lengths, cache_length, **translation)
        sets = None
        if similarity:
            from export.similarity import SimilaritySets

            sets = SimilaritySets(run, similarity)
        return export(run, output_dir, pairs, settled, say=say, sets=sets, num_pairs=num_pairs)


def export(
    run,
    output_dir: Path,
    pairs: list[tuple[str, str]],
    chunk_lengths: lengths.Lengths,
    held_out=None,
    say=None,
    sets=None,
    num_pairs: int = PROOF_PAIRS,
) -> list[Exported]:
    """Writes, proves and keeps the artifacts, one after the other.

    Args:
        run: a tflm.run.Run in float32.
        output_dir: the export folder; made where it is missing.
        pairs: (format, quantization), see `formats.chosen`.
        chunk_lengths: of the static shapes.
        held_out: an export.held_out.HeldOut, or HeldOutPairs of a model that translates; None takes what the run held
            out itself.
        say: told what is being done.
        sets: an export.similarity.SimilaritySets for word vectors, or None.
        num_pairs: how many held-out pairs a model that translates is proved on; 0 for all.

    Raises:
        UserError: where the folder cannot be written or is being written by another export.
    """
    import filelock
    import tensorflow as tf

    say = say or (lambda text: None)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        manifest.read(output_dir)
        with filelock.FileLock(output_dir / ".lock", timeout=0):
            run.tokenizer.save(output_dir / "tokenizer")
            if run.source_tokenizer is not run.tokenizer:
                run.source_tokenizer.save(output_dir / "source_tokenizer")
            prover = Prover(run, chunk_lengths, held_out, sets, num_pairs, say)
            return [
                _export_one(run, output_dir, *pair, chunk_lengths, prover, say) for pair in pairs
            ]
    except filelock.Timeout as error:
        raise UserError(
            f"Another export is writing to {output_dir}. Wait for it, or give another --output_dir."
        ) from error
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
        raise UserError(
            f"Cannot write the export to {output_dir}: {reason.strip().splitlines()[0]}. "
            "Make room or give another --output_dir."
        ) from error


def _export_one(run, output_dir, name, quantization, chunk_lengths, prover, say) -> Exported:
    relative = formats.artifact_path(name, quantization)
    target = output_dir / relative
    partial = output_dir / f".{relative}.partial"
    _remove(partial)
    try:
        say(f"writing {relative}")
        formats.write_function(name)(run, partial, quantization, chunk_lengths)
        size, checksum = manifest.size_and_checksum(partial)
        say(f"proving {relative}")
        proof = prover.prove(partial / formats.FORMATS[name].opened, name, quantization)
        exported = Exported(relative, name, quantization, size, proof.figures, proof.failures)
        if not proof.failures:
            _move(partial, target)
            entry = _entry(run, exported, checksum, chunk_lengths, proof.signatures)
            manifest.add(output_dir, relative, entry)
        return exported
    finally:
        _remove(partial)


def _entry(
    run, exported: Exported, checksum: str, chunk_lengths: lengths.Lengths, signatures: dict
) -> dict:
    tokenizers = {"tokenizer": _described(run.tokenizer)}
    if run.source_tokenizer is not run.tokenizer:
        tokenizers["source_tokenizer"] = _described(run.source_tokenizer)
    return {
        "format": exported.format,
        "quantization": exported.quantization,
        "bytes": exported.bytes,
        "sha256": checksum,
        "run": Path(run.run_dir).resolve().name,
        "step": run.step,
        "family": run.family,
        "parameters": sum(
            int(variable.value.shape.num_elements()) for variable in run.model.trainable_variables
        ),
        **tokenizers,
        "signatures": signatures,
        "cache_length": chunk_lengths.cache if exported.format == "tflite" else None,
        "source_length": chunk_lengths.source if exported.format == "tflite" else None,
        "proof": exported.figures,
        "versions": manifest.versions(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _described(tokenizer) -> dict:
    return {
        "kind": tokenizer.kind,
        "vocabulary_size": tokenizer.vocabulary_size,
        "fingerprint": tokenizer.fingerprint(),
        "pad_id": tokenizer.pad_id,
        "unk_id": tokenizer.unk_id,
        "bos_id": tokenizer.bos_id,
        "eos_id": tokenizer.eos_id,
        "mask_id": tokenizer.mask_id,
    }


def _move(partial: Path, target: Path) -> None:
    """Into place; a folder that was there is moved aside first, since a rename does not replace one."""
    if target.is_dir():
        old = target.with_name(f".{target.name}.old")
        _remove(old)
        target.rename(old)
        partial.rename(target)
        _remove(old)
    else:
        partial.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
