"""From texts to texts: in order, in few shapes, whatever stands beside a text."""

import dataclasses

import numpy as np
import pytest

from tests import zoo
from tests.generation.beam_reference import beam_of, log_softmax
from tests.generation.tiny_sources import Letters, TinySources
from tflm import models
from tflm.errors import UserError
from tflm.generation.beam import BeamConfig
from tflm.generation.sampling import SamplingConfig
from tflm.generation.translate import DrawConfig, Translator

CONFIG = BeamConfig(beam_size=2, num_best=2, max_length=6)
LETTERS = Letters()
BLOCKED = (0, 2)


def texts_of(count: int, longest: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [
        "".join(random.choice(list("abcdefgh"), random.integers(1, longest + 1)))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def model():
    return TinySources(12, seed=1)


@pytest.fixture(scope="module")
def translator(model):
    return Translator(model, LETTERS)


def expected_of(model, text: str, config=CONFIG):
    source = [*LETTERS.encode(text), 3]
    found = beam_of(
        *(model.log_probs_of(source), [2], 3, config.beam_size, config.length_penalty),
        *(config.max_length, 0, 0, BLOCKED),
    )
    return [(LETTERS.decode(target), score) for target, score, _ in found[: config.num_best]]


def test_order_is_kept_and_nothing_gives_nothing(model, translator):
    texts = texts_of(20, 14)
    texts[3] = texts[11] = ""
    seen = []
    found = translator.candidates(texts, CONFIG, progress=lambda *state: seen.append(state))
    assert seen[-1] == ("translate", 20, 20)
    for text, candidates in zip(texts, found, strict=True):
        expected = expected_of(model, text) if text else [("", 0.0)]
        assert [c.text for c in candidates] == [target for target, _ in expected]
        np.testing.assert_allclose([c.score for c in candidates], [s for _, s in expected], 1e-4)
    assert translator.translate(texts, CONFIG) == [candidates[0].text for candidates in found]
    assert len(set(translator.translate(texts, CONFIG))) > 4, "targets that say something"


def test_few_shapes_for_many_lengths(model):
    translator, shapes, seen = Translator(model, LETTERS), [], []

    def watched(rows, width, count, config, room):
        shapes.append((width, count))
        seen.extend(rows)
        assert max(map(len, rows)) <= width
        assert len(rows) <= count
        return [[] for _ in rows]

    translator._reader.beams = watched
    texts = texts_of(300, 30)
    translator.candidates(texts, CONFIG)
    assert len(shapes) == 5
    assert set(shapes) == {(32, 64), (16, 64)}
    assert sorted(seen) == sorted([*LETTERS.encode(text), 3] for text in texts)
    lengths = [len(row) for row in seen]
    assert lengths == sorted(lengths, reverse=True)
    shapes.clear()
    translator.candidates(texts[:1], CONFIG)
    translator.candidates(texts[:5], CONFIG)
    assert [count for _, count in shapes] == [1, 8]


def test_targets_that_need_more_room_are_as_with_all_of_it(model):
    config = BeamConfig(beam_size=1, max_length=40, min_length=36)
    longer = TinySources(12, seed=1, max_sequence_length=64)
    texts = texts_of(3, 10)
    rooms, translator = [], Translator(longer, LETTERS)
    beams = translator._reader.beams
    translator._reader.beams = lambda *arguments: rooms.append(arguments[-1]) or beams(*arguments)
    found = translator.translate(texts, config)
    assert rooms == [32, 40]
    for text, target in zip(texts, found, strict=True):
        source = [*LETTERS.encode(text), 3]
        expected = beam_of(longer.log_probs_of(source), [2], 3, 1, 0.6, 40, 36, 0, BLOCKED)
        assert target == LETTERS.decode(expected[0][0])
        assert len(target) >= 36


def test_a_source_that_is_too_long_names_its_line(model, translator):
    long = "abcd" * 10
    with pytest.raises(
        UserError, match="Line 8 has 40 tokens; the model reads at most 39 of a source.*--truncate"
    ):
        translator.candidates(["a", long], CONFIG, first_line=7)
    cutting = Translator(model, LETTERS, truncate=True)
    found = cutting.translate([long, "ab", long], CONFIG)
    assert cutting.num_truncated == 2
    assert found == [expected_of(model, text)[0][0] for text in (long[:39], "ab", long[:39])]


def test_a_target_is_no_longer_than_the_model_can_write(model, translator):
    long = dataclasses.replace(CONFIG, max_length=1000)
    fitting = dataclasses.replace(CONFIG, max_length=24)
    assert translator.candidates(["abc"], long) == translator.candidates(["abc"], fitting)
    with pytest.raises(UserError, match="`min_length` must be below `max_length`.*max_length=24"):
        translator.candidates(["abc"], dataclasses.replace(long, min_length=50))


def test_draws():
    model = TinySources(12, seed=1)
    model.bias[[0, 2]] = -1e4  # <pad> and BOS, which a draw may say and a beam may not
    translator, texts = Translator(model, LETTERS), texts_of(5, 14)
    found = translator.candidates(texts, DrawConfig(SamplingConfig(temperature=0.0), 6))
    greedy = BeamConfig(beam_size=1, max_length=6)
    assert [c[0].text for c in found] == [expected_of(model, t, greedy)[0][0] for t in texts]
    assert found[0][0].score is None
    drawn = [
        translator.translate(texts, DrawConfig(SamplingConfig(seed=seed), 6)) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_source_tokenizer_of_its_own(model):
    class Capitals(Letters):
        def encode(self, text):
            return super().encode(text.lower())

    translator = Translator(model, LETTERS, Capitals())
    assert translator.translate(["ABC"], CONFIG) == [expected_of(model, "abc")[0][0]]


@pytest.fixture(scope="module")
def gpt():
    config = dataclasses.replace(
        zoo.ZOO["gpt_rotary"], vocabulary_size=12, num_layers=1, max_sequence_length=24
    )
    built = models.build(config)
    zoo.spread(built, seed=4)
    return built


def test_a_language_model_reads_the_source_as_a_prompt(gpt):
    translator = Translator(gpt, LETTERS, prompt_format="ab{source}h")
    texts = ["cc", "defg", "a"]
    found = translator.candidates(texts, CONFIG)
    for text, candidates in zip(texts, found, strict=True):
        prompt = [2, *LETTERS.encode(f"ab{text}h")]
        expected = beam_of(
            lambda rows: log_softmax(gpt(np.array(rows, "int32"))[:, -1]),
            *(prompt, 3, 2, 0.6, 6, 0, 0, BLOCKED),
        )
        assert [c.text for c in candidates] == [LETTERS.decode(t) for t, *_ in expected[:2]]
        np.testing.assert_allclose(
            [c.score for c in candidates], [s for _, s, _ in expected[:2]], 1e-4
        )
    # 24 places, 6 of them for the target; BOS, "ab" and "h" are four of the others.
    with pytest.raises(UserError, match="Line 1 has 15 tokens; the model reads at most 14"):
        translator.translate(["a" * 15], CONFIG)
    assert translator.translate(["a" * 14], CONFIG)


def test_a_prompt_format_holds_the_source(gpt):
    with pytest.raises(UserError, match="`prompt_format` must hold {source} once. Received: 'x'"):
        Translator(gpt, LETTERS, prompt_format="x")
