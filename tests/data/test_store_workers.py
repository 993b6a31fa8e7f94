"""The token store, built by several processes: the same store, and what happens when one of them dies."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fake_tokenizer import ByteTokenizer

from tflm.data.corpora import DataConfig
from tflm.data.encode import BATCH_CHARACTERS
from tflm.data.store import build_store
from tflm.errors import UserError


def files_of(store):
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def large_corpus(tmp_path):
    random = np.random.default_rng(0)
    words = ["alpha", "beta", "中文", "γάμμα", "\r\n", "\n\n", "word"]
    text = " ".join(random.choice(words, 900_000))
    folder = tmp_path / "text"
    folder.mkdir()
    for name, part in {
        "a.txt": text,
        "b.md": "b " + text[:700_000],
        "c.txt": text[:500_000],
    }.items():
        (folder / name).write_bytes(part.encode())
    return folder


def test_same_store_for_any_number_of_workers(tmp_path):
    folder = large_corpus(tmp_path)
    config = DataConfig(corpus=str(folder), section_bytes=2000, workers=1)
    reports = []
    alone = build_store(
        config, ByteTokenizer(), tmp_path / "1", lambda *report: reports.append(report)
    )
    total = sum(os.path.getsize(path) for path in folder.iterdir())
    assert total > 5 * BATCH_CHARACTERS  # enough for worker processes
    assert reports[-1] == ("tokenize", total, total)
    config.workers = 2
    together = build_store(config, ByteTokenizer(), tmp_path / "2")
    assert files_of(together) == files_of(alone)
    assert together.fingerprint == alone.fingerprint and together.folder != alone.folder
    assert alone.card["splits"]["train"]["duplicates_removed"] > 200


def test_worker_that_dies_is_one_line(tmp_path):
    folder = large_corpus(tmp_path)
    config = DataConfig(corpus=str(folder), workers=2)
    with pytest.raises(UserError, match="ended early.*workers=1"):
        build_store(config, ByteTokenizer(exit_on="γάμμα"), tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache" / "stores").iterdir() if p.is_dir()]


def test_workers_need_no_main_module(tmp_path):
    """A script without `if __name__ == "__main__"` works, and workers do not import what it imports."""
    folder = large_corpus(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import pathlib, sys
sys.path[:0] = {[os.path.dirname(__file__), os.getcwd()]!r}
log = open({str(tmp_path / "log")!r}, "a"); log.write("run\\n"); log.close()
from fake_tokenizer import ByteTokenizer
from tflm.data.corpora import DataConfig
from tflm.data.encode import BATCH_CHARACTERS
from tflm.data.store import build_store
store = build_store(DataConfig(corpus={str(folder)!r}, workers=2), ByteTokenizer(), {str(tmp_path)!r})
print(store.card["splits"]["train"]["documents"], "tensorflow" in sys.modules, __file__)
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == "" and done.returncode == 0
    assert done.stdout.split()[1:] == ["False", str(script)]
    assert (tmp_path / "log").read_text() == "run\n"
