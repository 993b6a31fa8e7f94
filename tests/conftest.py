"""What all tests share: the slow ones wait for --slow, nothing is written outside of pytest's temporary folders."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `from tests import zoo`, whichever way pytest was started

# Before anything imports TensorFlow or Keras.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The models are tiny and pytest-xdist fills the cores.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_configure(config):
    # TensorFlow's variables say this to numpy 2 whenever they are read.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """The cache of token stores, instead of the one in the user's home; subprocesses inherit it."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("TFLM_CACHE")
    os.environ["TFLM_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["TFLM_CACHE"]
    else:
        os.environ["TFLM_CACHE"] = before


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """A text of 40 KB in English-like sentences, in documents of one paragraph."""
    from tests.sentences import paragraphs

    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n".join(paragraphs(200, seed=0)) + "\n", encoding="utf-8")
    return path
