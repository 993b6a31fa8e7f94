"""The store with the tokenizers it is made for, in worker processes."""

import subprocess
import sys

import numpy as np
import pytest

from tflm.data import encode
from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.data.training_texts import training_texts
from tflm.text import tokenizer as tokenizers
from tflm.text.tokenizer import TokenizerConfig

NASTY = ["", "中文 ｆｕｌｌ", "👩‍👧 a\tb   c", "tail \u2028\x07 \u2581 end", "é"]


@pytest.mark.parametrize("kind", ["byte", "character", "word", "sentencepiece", "wordpiece"])
def test_ids_are_the_tokenizers_own_in_every_process(tmp_path, monkeypatch, kind):
    path = tmp_path / "text.txt"
    lines = [f"Line {i}: {NASTY[i % 5]} and what follows {i * i}." for i in range(3000)]
    path.write_bytes("\n".join(lines).encode())
    config = DataConfig(corpus=str(path), documents="line", workers=2)
    texts = training_texts(config, 20_000, 0, tmp_path)
    tokenizer = tokenizers.train(TokenizerConfig(kind, vocabulary_size=400), texts)
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 20_000)
    store = build_store(config, tokenizer, tmp_path)

    stored, unknown = [], 0
    for name in ("train", "validation", "test"):
        split = store.split(name)
        ends = np.append(split.document_starts, len(split.tokens))
        stored += [split.tokens[a:b].tolist() for a, b in zip(ends, ends[1:], strict=False)]
        unknown += split.num_unknown
    expected = {(2, *tokenizer.encode(line), 3) for line in lines}
    assert {tuple(ids) for ids in stored} == expected
    assert len(stored) == 3000
    assert unknown == sum(ids.count(1) for ids in stored)
    if tokenizer.lossless:
        assert {tokenizer.decode(ids) for ids in stored} == set(lines)
        assert unknown == 0
    again = build_store(config, tokenizers.load(saved(tokenizer, tmp_path)), tmp_path)
    assert again.folder == store.folder  # A tokenizer that was saved and loaded is the same.


def saved(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_workers_do_without_tensorflow(tmp_path, monkeypatch):
    """What a worker unpickles and runs must not load TensorFlow."""
    program = (
        "import pickle, sys\n"
        "from tflm.text.tokenizer import TokenizerConfig, train\n"
        "from tflm.data.encode import encode_documents\n"
        "import tflm.data.store, tflm.data.windows, tflm.data.training_texts\n"
        "for kind in ('byte', 'character', 'word', 'sentencepiece', 'wordpiece'):\n"
        "    tokenizer = train(TokenizerConfig(kind, 400), ['some text to learn from'] * 9)\n"
        "    encode_documents(pickle.loads(pickle.dumps(tokenizer)), ['text'])\n"
        "print([name for name in ('tensorflow', 'keras', 'jieba') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
