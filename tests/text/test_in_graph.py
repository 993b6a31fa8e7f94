"""The twins: same ids and same text as Python, in this process and in a SavedModel elsewhere."""

import json
import pydoc_data.topics
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from nasty_strings import INVALID_UTF8, LONG_STRINGS, NASTY_STRINGS, random_strings

from tests.graphs import nodes_of
from tflm.text.tokenizer import TokenizerConfig, train

PROSE = list(pydoc_data.topics.topics.values())
TEXTS = [*PROSE[:40], "中文分词很难，是吗？“是的”。混合 English 2024年", "don't <unk> it's"]
CONFIGS = {
    "byte": TokenizerConfig(kind="byte"),
    "character": TokenizerConfig(kind="character", vocabulary_size=120),
    "words": TokenizerConfig(kind="word", vocabulary_size=2000),
    "whitespace": TokenizerConfig(kind="word", split="whitespace"),
    "unigram": TokenizerConfig(vocabulary_size=1500),
    "bpe": TokenizerConfig(algorithm="bpe", vocabulary_size=1500),
    "normalized": TokenizerConfig(
        vocabulary_size=1500, normalization=("nfkc", "lowercase", "collapse_whitespace")
    ),
    "wordpiece": TokenizerConfig(kind="wordpiece", vocabulary_size=3000),
    "uncased": TokenizerConfig(kind="wordpiece", vocabulary_size=3000, uncased=True),
}


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request):
    """A tokenizer and its twin."""
    # Words of the nasty strings too, so that the vocabulary holds NUL, marks and symbols.
    tokenizer = train(CONFIGS[request.param], [*TEXTS, *NASTY_STRINGS])
    return tokenizer, tokenizer.in_graph()


def graph_ids(twin, texts):
    strings = [t if isinstance(t, bytes) else t.encode() for t in texts]
    result = twin.tokenize(tf.constant(strings, tf.string))
    assert isinstance(result, tf.RaggedTensor)
    assert result.dtype == tf.int32
    return result.to_list()


def graph_texts(twin, ids):
    ragged = tf.RaggedTensor.from_row_lengths(
        tf.constant([i for row in ids for i in row], tf.int32), [len(row) for row in ids]
    )
    return [text.decode() for text in twin.detokenize(ragged).numpy()]


@pytest.mark.parametrize(
    "texts",
    [NASTY_STRINGS, random_strings(400, seed=7), PROSE[:60], LONG_STRINGS[1:2]],
    ids=["nasty", "random", "prose", "megabyte"],
)
def test_same_ids_and_same_text(pair, texts):
    tokenizer, twin = pair
    expected = [tokenizer.encode(text) for text in texts]
    assert graph_ids(twin, texts) == expected
    decoded = graph_texts(twin, expected)
    assert decoded == [tokenizer.decode(ids) for ids in expected]
    if tokenizer.lossless:
        assert decoded == list(texts)


def test_same_ids_where_a_document_has_many_segments(pair):
    tokenizer, twin = pair
    texts = ["".join(PROSE[40:60]), "", "x\n" * 9000, "y" * 4096 + "\n" + "z" * 4097]
    assert graph_ids(twin, texts) == [tokenizer.encode(text) for text in texts]


def test_any_ids_decode_alike(pair):
    """Ids that no text gives: stray bytes, special ids in between, ids out of range."""
    tokenizer, twin = pair
    generator = random.Random(8)
    size = tokenizer.vocabulary_size
    rows = [[generator.randrange(-2, size + 3) for _ in range(n % 30)] for n in range(300)]
    rows += [[generator.randrange(0, min(size, 270)) for _ in range(20)] for _ in range(300)]
    assert graph_texts(twin, rows) == [tokenizer.decode(row) for row in rows]


def test_invalid_utf8_is_read_as_python_reads_it_with_replace(pair):
    tokenizer, twin = pair
    expected = [tokenizer.encode(text.decode("utf-8", "replace")) for text in INVALID_UTF8]
    assert graph_ids(twin, INVALID_UTF8) == expected


def test_empty_batches(pair):
    _, twin = pair
    assert graph_ids(twin, []) == []
    assert graph_ids(twin, ["", ""]) == [[], []]
    assert graph_texts(twin, []) == []
    assert graph_texts(twin, [[], [0, 2, 3]]) == ["", ""]


def test_works_inside_another_function(pair):
    tokenizer, twin = pair

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def there_and_back(strings):
        return twin.detokenize(twin.tokenize(strings))

    texts = ["hello world", "", "  the class"]
    expected = [tokenizer.decode(tokenizer.encode(text)) for text in texts]
    assert [text.decode() for text in there_and_back(tf.constant(texts)).numpy()] == expected


LOADER = """
import json, sys
import tensorflow as tf
if sys.argv[2] == "text":
    import tensorflow_text
module = tf.saved_model.load(sys.argv[1])
texts = json.load(open(sys.argv[3]))
ids = module.tokenizer.tokenize(tf.constant([text.encode() for text in texts]))
back = [text.decode() for text in module.tokenizer.detokenize(ids).numpy()]
served = module.signatures["ids"](strings=tf.constant(["hello world"]))["ids"].numpy().tolist()
print(json.dumps([ids.to_list(), back, served]))
"""


def test_saved_model_in_a_fresh_process(tmp_path):
    """Every class in one process, to import TensorFlow once; those of plain ops without its text."""
    script = LOADER.replace("sys.argv", "argv")
    calls, expected = [], []
    texts = [*NASTY_STRINGS[:-4], *random_strings(50, seed=9)]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    order = ["byte", "character", "words", "whitespace", "normalized", "uncased"]
    for name in order:
        tokenizer = train(CONFIGS[name], [*TEXTS, *NASTY_STRINGS])
        folder = str(tmp_path / name)
        _save(tokenizer.in_graph(), folder)
        library = "text" if tokenizer.kind in ("sentencepiece", "wordpiece") else "none"
        arguments = ["loader", folder, library, str(tmp_path / "texts.json")]
        calls.append(f"argv = {arguments!r}\n{script}")
        ids = [tokenizer.encode(text) for text in texts]
        served = [tokenizer.encode("hello world")]
        expected.append([ids, [tokenizer.decode(row) for row in ids], served])
    result = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join(calls)], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr[-3000:]
    results = [json.loads(line) for line in result.stdout.splitlines()]
    for name, got, wanted in zip(order, results, expected, strict=True):
        assert got == wanted, name


def _save(twin, folder):
    module = tf.Module()
    module.tokenizer = twin

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="strings")])
    def ids(strings):
        return {"ids": twin.tokenize(strings).to_tensor()}

    tf.saved_model.save(module, folder, signatures={"ids": ids})


def test_plain_kinds_need_no_op_outside_tensorflow():
    for name in ("byte", "character", "words", "whitespace"):
        twin = train(CONFIGS[name], TEXTS).in_graph()
        for function in (twin.tokenize, twin.detokenize):
            graph = function.get_concrete_function().graph.as_graph_def()
            ops = {node.op for node in nodes_of(graph)}
            assert not {op for op in ops if "Sentencepiece" in op or "NormalizeUTF8" in op}


def test_vocabulary_size_is_the_tokenizers(pair):
    tokenizer, twin = pair
    assert twin.vocabulary_size == tokenizer.vocabulary_size
    assert np.max(twin.tokenize(["the text"]).flat_values) < twin.vocabulary_size
