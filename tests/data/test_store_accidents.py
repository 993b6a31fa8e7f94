"""A build that is killed, two at once, a full disk, a folder that cannot be written."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from fake_tokenizer import ByteTokenizer

from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.errors import UserError

PROGRAM = """
import resource, sys
sys.path[:0] = [{here!r}, {root!r}]
from fake_tokenizer import ByteTokenizer
from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.errors import UserError
limit = int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    config = DataConfig(corpus=sys.argv[1], workers=int(sys.argv[3]))
    store = build_store(config, ByteTokenizer(seconds=float(sys.argv[5])), sys.argv[2])
except UserError as error:
    sys.exit("UserError: " + str(error))
except KeyboardInterrupt:
    sys.exit("interrupted")
print(store.fingerprint)
"""


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"Line {i} of a text that is long enough." for i in range(130_000)))
    assert path.stat().st_size > 5_000_000
    return path


def start(text, cache, workers=1, limit=0, seconds=0.0):
    here = os.path.dirname(__file__)
    program = PROGRAM.format(here=here, root=os.path.dirname(os.path.dirname(here)))
    arguments = [str(text), str(cache), str(workers), str(limit), str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_half_a_store(cache, process):
    """Returns once some tokens have been written, and not yet all."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(path.stat().st_size for path in cache.glob("stores/*.building/train.bin")):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing was written: {process.communicate()}")


def folders(cache):
    return sorted(path.name for path in (cache / "stores").iterdir() if path.is_dir())


def gone(processes, seconds=10):
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_build_leaves_no_store_and_no_process(tmp_path, text, workers):
    cache = tmp_path / "cache"
    process = start(text, cache, workers, seconds=0.5)
    wait_for_half_a_store(cache, process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= (2 if workers == 2 else 0)
    process.kill()
    process.communicate()
    assert not list(cache.glob("stores/*/store.json"))
    assert [name for name in folders(cache) if not name.endswith(".building")] == []
    assert gone(children)

    other = tmp_path / "other.txt"
    other.write_text("\n".join(f"Another line {i}." for i in range(2000)))
    config = DataConfig(corpus=str(other), section_bytes=200, workers=1)
    swept = build_store(config, ByteTokenizer(), cache)  # Any build sweeps.
    assert folders(cache) == [swept.fingerprint]
    whole = build_store(DataConfig(corpus=str(text), workers=1), ByteTokenizer(), cache)
    assert folders(cache) == sorted([swept.fingerprint, whole.fingerprint])
    splits = whole.card["splits"].values()
    assert sum(s["bytes"] for s in splits) == text.stat().st_size


def test_ctrl_c_removes_the_half_built_store(tmp_path, text):
    cache = tmp_path / "cache"
    process = start(text, cache, workers=2, seconds=0.5)
    wait_for_half_a_store(cache, process)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # As the terminal does: parent and workers.
    output, errors = process.communicate(timeout=30)
    assert (output, errors) == ("", "interrupted\n")
    assert folders(cache) == []
    assert gone(children)


def test_two_builds_at_once_build_one_store(tmp_path, text):
    cache = tmp_path / "cache"
    first = start(text, cache, seconds=0.3)
    wait_for_half_a_store(cache, first)
    reports = []
    config = DataConfig(corpus=str(text), workers=1)
    store = build_store(config, ByteTokenizer(), cache, lambda *r: reports.append(r[0]))
    assert first.communicate()[0].strip() == store.fingerprint
    assert "wait for another process that builds this store" in reports
    assert "tokenize" not in reports


@pytest.mark.parametrize("workers", [1, 2])
def test_no_room_on_the_disk(tmp_path, text, workers):
    cache = tmp_path / "cache"
    process = start(text, cache, workers, limit=1_000_000)  # Bytes a file may have.
    output, errors = process.communicate(timeout=60)
    assert output == ""
    assert errors.startswith("UserError: Cannot write the token store to ")
    assert "File too large" in errors and "TFLM_CACHE" in errors and errors.count("\n") == 1
    assert folders(cache) == []


def test_cache_that_cannot_be_written(tmp_path, text):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write the token store to .*Not a directory"):
        build_store(DataConfig(corpus=str(text)), ByteTokenizer(), tmp_path / "file")
