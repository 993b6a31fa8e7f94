"""SentencePiece: what the training promises, and agreement with the plain library."""

import pydoc_data.topics
import subprocess
import sys

import pytest
import sentencepiece
from nasty_strings import NASTY_STRINGS, random_strings

from tflm.text.sentencepiece import SEGMENT_CHARACTERS, text_segments
from tflm.text.tokenizer import TokenizerConfig, train

PROSE = list(pydoc_data.topics.topics.values())[:40]
ALGORITHMS = ("unigram", "bpe")


@pytest.fixture(scope="module", params=ALGORITHMS)
def tokenizer(request):
    return train(TokenizerConfig(algorithm=request.param, vocabulary_size=1500), iter(PROSE))


def test_plain_sentencepiece_reads_the_model_alike(tokenizer, tmp_path):
    """The saved file alone, in the plain library, gives the same ids and texts."""
    tokenizer.save(tmp_path)
    plain = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    assert plain.get_piece_size() == tokenizer.vocabulary_size
    for text in [*NASTY_STRINGS, *random_strings(300, seed=6), *PROSE]:
        if len(text) <= SEGMENT_CHARACTERS:
            assert plain.encode(text) == tokenizer.encode(text)
        assert plain.decode(tokenizer.encode(text)) == text


def test_segments_change_no_ids_of_ordinary_documents(tokenizer):
    """Whole lines are encoded together or apart with the same result."""
    document = "\n".join(PROSE)[: 10 * SEGMENT_CHARACTERS]
    lines = document.splitlines(keepends=True)
    by_line = [i for ids in tokenizer.encode_batch(lines) for i in ids]
    assert tokenizer.encode(document) == by_line


def test_segments():
    assert text_segments("") == [""]
    for text in ("ab\n" * 5000, "x" * 10_000, "\n" * 9000, "x" * 5000 + "\n" + "y" * 5000):
        segments = text_segments(text)
        assert "".join(segments) == text
        assert all(0 < len(segment) <= SEGMENT_CHARACTERS for segment in segments)
    # A line of its own length starts a new segment, so cuts inside a line fall at its multiples.
    assert [len(s) for s in text_segments("ab\n" + "x" * 5000 + "\ny")] == [3, 4096, 906]


def test_scores_add_up_exactly(tokenizer):
    """What makes two versions of the search agree: every score is a multiple of 1/128."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    scores = [processor.get_score(i) for i in range(tokenizer.vocabulary_size)]
    assert all(score * 128 == int(score * 128) for score in scores)
    worst = min(scores) - 10  # SentencePiece's own penalty for an unknown character
    assert -worst * SEGMENT_CHARACTERS * 128 < 2**24 or min(scores) < -1000  # BPE has ranks


def test_line_feed_and_tab_are_pieces_and_runs_of_spaces_are_short(tokenizer):
    newline, tab = tokenizer.token_id("\n"), tokenizer.token_id("\t")
    assert (newline, tab) == (4, 5)
    assert tokenizer.encode("\n\n\t\n") == [newline, newline, tab, newline]
    assert (tokenizer.piece(newline), tokenizer.piece(tab)) == ("<U+000A>", "<U+0009>")
    assert len(tokenizer.encode(" " * 16)) <= 2
    for token_id in range(262, tokenizer.vocabulary_size):
        assert "<U+000" not in tokenizer.piece(token_id)


def test_digits_stand_alone(tokenizer):
    assert len(tokenizer.encode("20241231")) == 8


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_compression_is_that_of_plain_sentencepiece(algorithm, tmp_path):
    """Rounded scores and our choice of training lines cost less than 1 % of tokens."""
    lines = [line for text in PROSE for line in text.split("\n")]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(tmp_path / "plain"),
        model_type=algorithm,
        vocab_size=1500,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        minloglevel=2,
    )
    plain = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "plain.model"))
    ours = train(TokenizerConfig(algorithm=algorithm, vocabulary_size=1500), iter(PROSE))
    expected = sum(map(len, plain.encode(lines)))
    assert sum(map(len, ours.encode_batch(lines))) < 1.01 * expected


def test_a_small_corpus_gives_a_small_vocabulary():
    for algorithm in ALGORITHMS:
        tokenizer = train(TokenizerConfig(algorithm=algorithm), ["hello world"] * 3)
        assert 262 < tokenizer.vocabulary_size < 320
        assert tokenizer.decode(tokenizer.encode("hello 世界")) == "hello 世界"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_more_characters_than_room_are_spelled_in_bytes(algorithm):
    """5,000 different characters do not fit into 400 ids; the trainer alone refuses that."""
    common = "的一是不了人我在有他" * 20
    texts = [common + "".join(chr(0x4E00 + i) for i in range(5000))]
    config = TokenizerConfig(algorithm=algorithm, vocabulary_size=400)
    tokenizer = train(config, texts)
    assert tokenizer.vocabulary_size <= 400
    assert tokenizer.token_id("的") is not None
    assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_text_full_of_reserved_strings_trains(algorithm):
    texts = ["<s> </s> <unk> <pad> <0x41> \u2581\u2585\x1a hello <s><s> a\tb\0c\r\n"] * 100
    tokenizer = train(TokenizerConfig(algorithm=algorithm, vocabulary_size=500), texts)
    assert not {0, 1, 2, 3} & set(tokenizer.encode(texts[0]))
    assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]


def test_training_takes_a_megabyte_on_one_line():
    """Longer than the trainer's own limit, which would skip it and find nothing to learn."""
    text = " ".join(PROSE).replace("\n", " ") * 5
    assert len(text) > 10**6
    tokenizer = train(TokenizerConfig(algorithm="bpe", vocabulary_size=1000), [text])
    assert len(tokenizer.encode(PROSE[0])) < len(PROSE[0]) / 2


def test_training_is_quiet():
    code = (
        "from tflm.text.tokenizer import *;"
        "train(TokenizerConfig(vocabulary_size=300), ['hello world\\t\\n'] * 9)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
