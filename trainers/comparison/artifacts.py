"""What was exported of a run, read from <run_dir>/export/manifest.json.

Only the JSON is read: this room must not import `export`.
"""

import dataclasses
import json
from pathlib import Path

# (format, quantization) as the manifest has them -> the name in a table, in the order of a table.
NAMES = {
    ("saved_model", "none"): "SavedModel",
    ("tflite", "none"): "tflite float32",
    ("tflite", "dynamic_int8"): "tflite int8",
}


@dataclasses.dataclass
class Artifact:
    """One exported file or folder, with what its proof measured; None is what was not measured.

    Attributes:
        step: of the checkpoint it was made from.
        tokens_per_second: of decoding on one thread.
        agreement: share of places where it finds the same token most likely as the trained model; of word vectors,
            the share of nearest words that are the same.
        bits_per_byte_change: against the trained model, on the text of the proof.
    """

    name: str
    num_bytes: int
    step: int | None = None
    tokens_per_second: float | None = None
    agreement: float | None = None
    bits_per_byte_change: float | None = None


def read_artifacts(run_dir, say=lambda text: None) -> list[Artifact]:
    """The artifacts of a run, none where nothing was exported.

    Args:
        run_dir: the run folder.
        say: told of a manifest that cannot be read; the comparison goes on without it.
    """
    file = Path(run_dir) / "export" / "manifest.json"
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["artifacts"]
        artifacts = {
            (entry["format"], entry["quantization"]): _artifact(path, entry)
            for path, entry in entries.items()
        }
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"{file} cannot be read ({error!r}): the artifacts of this run are left out.")
        return []
    order = list(NAMES)
    keys = sorted(artifacts, key=lambda key: order.index(key) if key in order else len(order))
    return [artifacts[key] for key in keys]


def _artifact(path: str, entry: dict) -> Artifact:
    proof = entry.get("proof") or {}
    figures = proof.get("figures", proof)
    agreement = figures.get("token_agreement", figures.get("neighbour_agreement"))
    return Artifact(
        name=NAMES.get((entry["format"], entry["quantization"]), path),
        num_bytes=int(entry["bytes"]),
        step=entry.get("step"),
        tokens_per_second=figures.get("decode_tokens_per_second"),
        agreement=agreement,
        bits_per_byte_change=figures.get("bits_per_byte_change"),
    )
