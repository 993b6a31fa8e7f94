"""manifest.json of an export folder: what is there, of which step, and how it was proved.

    {"format_version": 1, "artifacts": {PATH: {"format", "quantization", "bytes", "sha256", "step", "signatures",
     "tokenizer", "proof", "versions", "date", ...}}}

PATH is relative to the folder. Exporting one format again replaces its entry and keeps the others.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path

from tflm.errors import UserError

FILE_NAME = "manifest.json"
FORMAT_VERSION = 1
PACKAGES = ("tflm", "tensorflow", "keras", "tensorflow-text", "ai-edge-litert", "numpy")


def read(folder: Path) -> dict:
    """The manifest of an export folder; an empty one where there is none yet."""
    file = folder / FILE_NAME
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if manifest["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version {manifest['format_version']}")
        dict(manifest["artifacts"])
    except FileNotFoundError:
        return {"format_version": FORMAT_VERSION, "artifacts": {}}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is damaged or of another version ({error}). Move it away and export again."
        ) from error
    return manifest


def add(folder: Path, path: str, entry: dict) -> None:
    """Writes the manifest with the entry of one artifact; entries whose artifact is gone are dropped."""
    manifest = read(folder)
    artifacts = {p: e for p, e in manifest["artifacts"].items() if (folder / p).exists()}
    artifacts[path] = entry
    manifest["artifacts"] = dict(sorted(artifacts.items()))
    file = folder / FILE_NAME
    partial = folder / f".{FILE_NAME}.partial"
    with open(partial, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, file)


def size_and_checksum(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file; of a folder all its files in order of their names, each name before its content."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest, size = hashlib.sha256(), 0
    for file in files:
        if file != path:
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                size += len(block)
    return size, digest.hexdigest()


def versions() -> dict[str, str]:
    """Of what wrote and judged the artifact."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
