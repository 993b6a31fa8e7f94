"""Answers to questions: the reader, its loss, the answers of all windows, and trainings seen from outside."""

import dataclasses
import json

import numpy as np
import pytest
from keras import ops

from tests.programs import program_in_process, run_program
from tests.zoo import ZOO, spread
from tflm import models
from tflm.data import features
from tflm.data.corpora import DataConfig
from tflm.data.encoded_questions import WindowLimits
from tflm.data.passages import best_answers, encode_passage
from tflm.data.question_store import split_of_questions
from tflm.data.questions import Answer, Question
from tflm.errors import UserError
from tflm.models.bert import BERTConfig
from tflm.models.head import ENCODERS
from tflm.models.span_reader import SpanReaderConfig
from tflm.text.tokenizer import TokenizerConfig, train
from trainers import fit, objectives
from trainers.experiment import Experiment, TrainConfig, check, from_dict, to_dict
from trainers.objectives import span_answers
from trainers.objectives.span import SpanConfig
from trainers.run_differences import differences_of

BERT = BERTConfig(
    vocabulary_size=260,
    num_layers=1,
    num_heads=2,
    hidden_dim=32,
    max_sequence_length=48,
    dropout=0.0,
)
ZOO_ENCODERS = {"bert": BERT, "rnn": ZOO["lstm"], "gpt": ZOO["gpt_rotary"]}
TOKENIZER = train(TokenizerConfig(kind="byte"), [])


def reader(name: str = "bert"):
    model = models.build(SpanReaderConfig(ZOO_ENCODERS[name], dropout=0.0))
    spread(model)
    return model


def some_questions(count: int) -> list[Question]:
    random = np.random.default_rng(0)
    found = []
    for i in range(count):
        words = ["".join(random.choice(list("abcdefg"), 3)) for _ in range(random.integers(1, 20))]
        found.append(Question(f"q{i}", "which?", " ".join(words), (Answer(words[0], 0),)))
    return found


@pytest.mark.parametrize("name", ENCODERS)
def test_two_numbers_for_each_token(name):
    model = reader(name)
    token_ids = np.random.default_rng(0).integers(4, 260, (3, 9)).astype("int32")
    mask = np.arange(9)[None, :] < np.array([[9], [4], [1]])
    segments = (np.arange(9)[None, :] > 2).astype("int32") * mask
    logits = ops.convert_to_numpy(model(token_ids, segments, mask))
    assert logits.shape == (3, 9, 2)
    if name == "bert":
        sequence = model.encoder(token_ids, segments, mask)["sequence"]
        assert (
            np.abs(logits - ops.convert_to_numpy(model(token_ids, None, mask)))[mask].max() > 0.01
        )
    else:
        sequence = model.encoder.hidden(token_ids)[0]
    kernel, bias = (np.array(v.numpy()) for v in model.output_layer.variables)
    expected = np.array(ops.convert_to_numpy(sequence)) @ kernel + bias
    np.testing.assert_allclose(logits[mask], expected[mask], atol=1e-5)
    for row, length in enumerate(mask.sum(axis=1)):
        alone = model(token_ids[row : row + 1, :length], segments[row : row + 1, :length])
        np.testing.assert_allclose(logits[row, :length], alone[0], atol=1e-4)


def test_the_loss_is_that_of_numpy():
    """Each row alone, without its padding: the mean of the two cross-entropies."""
    model = reader()
    objective = objectives.build(SpanConfig(window_tokens=32, doc_stride=8))
    objective.read_tokenizers(TOKENIZER, TOKENIZER)
    limits = WindowLimits(32, 8, 64)
    split = split_of_questions(some_questions(9), TOKENIZER, limits)
    batches = objective.batches(split, model, TrainConfig(sequence_length=32, batch_size=4))
    for step in range(3):
        batch = batches.batch(step)
        loss, _ = objective.loss(model, batch, {})
        expected = 0.0
        for row in range(4):
            length = int(batch[features.PADDING_MASK][row].sum())
            one = [batch[name][row : row + 1, :length] for name in ("token_ids", "segment_ids")]
            logits = np.array(model(*one), "float64")[0]
            nats = np.log(np.exp(logits).sum(axis=0)) - logits[batch[features.LABELS][row], [0, 1]]
            expected += batch[features.WEIGHTS][row] * nats.mean()
        assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("at_a_time", [1, 5, 2048])
def test_answers_are_those_of_each_question_alone(at_a_time, monkeypatch):
    monkeypatch.setattr(span_answers, "WINDOWS_AT_A_TIME", at_a_time)
    model, config = reader(), SpanConfig(window_tokens=40, doc_stride=9, max_answer_tokens=7)
    asked = some_questions(8)
    split = split_of_questions(asked, TOKENIZER, config.limits)
    assert split.num_documents > 12
    settings = TrainConfig(sequence_length=40, batch_size=3)
    found = list(objectives.build(config).reader(model, settings, TOKENIZER)(split))
    assert [question for question, _ in found] == asked
    for question, answers in found:
        passage = encode_passage(TOKENIZER, question.question, question.context, 40, 9)
        logits = [
            np.array(model(w.token_ids[None], w.segment_ids[None]))[0] for w in passage.windows
        ]
        expected = best_answers(passage, *([x[:, i] for x in logits] for i in (0, 1)), 20, 7)
        assert [a.text for a in answers.best[:5]] == [a.text for a in expected.best[:5]]
        assert answers.no_answer == pytest.approx(expected.no_answer, abs=1e-4)


def test_only_the_first_questions_are_read():
    model, config = reader(), SpanConfig(window_tokens=40, doc_stride=9)
    split = split_of_questions(some_questions(8), TOKENIZER, config.limits)
    starts = [*split.document_starts, len(split.tokens)]
    ends = [starts[i] for i in [*split.first_windows[1:], split.num_documents]]
    read = objectives.build(config).reader(
        model, TrainConfig(sequence_length=40, batch_size=8), TOKENIZER
    )
    assert len(list(read(split, int(ends[2])))) == 3
    assert len(list(read(split, int(ends[2]) - 1))) == 2
    assert len(list(read(split, 1))) == 1


def test_settings_that_cannot_be():
    experiment = tiny({"train": "x.json"}, BERT)
    check(experiment)
    assert experiment.objective.window_tokens == 48
    assert from_dict(to_dict(experiment)) == experiment
    with pytest.raises(UserError, match="no_answer=True goes with objective.metric='squad_v2'"):
        SpanConfig(no_answer=True)
    with pytest.raises(UserError, match="Choose one of: cmrc, squad, squad_v2"):
        SpanConfig(metric="bleu")
    for change, message in (
        ({"window_tokens": 49}, "at most `train.sequence_length`. Received: 49 and 48"),
        ({"max_question_tokens": 45}, "Received: 48 tokens, 45 of them for the question"),
    ):
        wrong = tiny({"train": "x.json"}, BERT)
        wrong.objective = SpanConfig(**change)
        with pytest.raises(UserError, match=message):
            check(wrong)
    wrong = tiny({"train": "x.json"}, dataclasses.replace(BERT, num_segments=1))
    with pytest.raises(UserError, match="num_segments must be 2 at least. Received: 1"):
        check(wrong)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The answer is the word with a mark before it; where there is no mark, there is none."""
    folder = tmp_path_factory.mktemp("questions")
    random = np.random.default_rng(0)
    paths = {}
    for name, count in (("train", 500), ("validation", 40), ("test", 40)):
        paragraphs = []
        for i in range(count):
            words = ["".join(random.choice(list("abcdef"), 3)) for _ in range(6)]
            place, is_marked = random.integers(6), i % 4 > 0
            context = " ".join(
                f"#{word}" if is_marked and k == place else word for k, word in enumerate(words)
            )
            answer = {"text": words[place], "answer_start": context.find("#") + 1}
            asked = {
                "id": f"{name} {i}",
                "question": "which?",
                "answers": [answer] if is_marked else [],
                "is_impossible": not is_marked,
            }
            paragraphs.append({"context": context, "qas": [asked]})
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return paths


def tiny(files, encoder, **settings) -> Experiment:
    given = {
        "steps": 300,
        "batch_size": 32,
        "sequence_length": 48,
        "learning_rate": 5e-3,
        "warmup_steps": 20,
        "eval_every": 100,
        "sample_tokens": 0,
        "jit_compile": "off",
    }
    return Experiment(
        model=SpanReaderConfig(dataclasses.replace(encoder, vocabulary_size=0), dropout=0.0),
        objective=SpanConfig(
            max_question_tokens=10,
            doc_stride=12,
            max_answer_tokens=5,
            no_answer=True,
            metric="squad_v2",
        ),
        tokenizer=TokenizerConfig(kind="byte"),
        data=DataConfig(
            corpus=str(files["train"]),
            validation_corpus=str(files["validation"]) if "validation" in files else None,
            test_corpus=str(files["test"]) if "test" in files else None,
            workers=1,
        ),
        train=TrainConfig(**(given | settings)),
    )


@pytest.fixture(scope="module")
def run_dir(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "reader"
    fit.train(tiny(files, BERT), folder)
    return folder


def test_it_learns_and_is_evaluated(run_dir, files):
    from trainers.evaluation import results

    result = results.evaluate(run_dir, "test")
    assert (result["num_questions"], result["documents"]) == (40, 40)
    assert result["f1"] > 90
    assert result["answer_error"] == pytest.approx(1 - result["f1"] / 100)
    assert result["no_answer_exact_match"] > 80
    lines = {tuple(line.split()) for line in results.lines_of(result)}
    assert ("questions:", "40") in lines
    assert ("exact", "match:", f"{result['exact_match']:.2f}") in lines
    assert ("f1:", f"{result['f1']:.2f}") in lines
    of_file = results.evaluate(run_dir, file=str(files["test"]))
    assert of_file["f1"] == pytest.approx(result["f1"])


def test_the_program_answers_a_file_and_lines(run_dir, files, tmp_path):
    output = tmp_path / "predictions.json"
    arguments = (f"--run_dir={run_dir}", f"--output={output}")
    done = run_program("trainers.answer", *arguments, f"--input_file={files['test']}")
    assert done.code == 0, done.err
    assert done.out == f"Wrote the answers to 40 questions to {output}.\n"
    predictions = json.loads(output.read_text())
    article = json.loads(files["test"].read_text())["data"][0]
    asked = [paragraph["qas"][0] for paragraph in article["paragraphs"]]
    right = [
        predictions[qa["id"]] == (qa["answers"][0]["text"] if qa["answers"] else "") for qa in asked
    ]
    assert len(predictions) == 40
    assert np.mean(right) > 0.8
    lines = "which?\tabc fed #dac bed ace\nwhich?\tabc fed dac bed ace\n"
    done = run_program(
        "trainers.answer", f"--run_dir={run_dir}", "--input_file=-", "--top=2", stdin=lines
    )
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [(row[0], row[1], len(row)) for row in rows] == [("1", "dac", 5), ("2", "", 5)]
    assert float(rows[0][2]) > float(rows[0][4])


def test_what_the_program_cannot_do(run_dir, tmp_path):
    table = tmp_path / "questions.tsv"
    table.write_text("which?\tabc\nwhich?\n")
    done = run_program("trainers.answer", f"--run_dir={run_dir}", f"--input_file={table}")
    assert done.code == 2
    assert "line 2: wanted a question and its context with a tab between them." in done.err
    done = run_program("trainers.answer", f"--run_dir={run_dir}")
    assert (done.code, "--input_file is missing" in done.err) == (2, True)
    other = "tests/golden/gpt"
    done = run_program("trainers.answer", f"--run_dir={other}", f"--input_file={table}")
    assert (done.code, "does not answer questions: its objective is causal" in done.err) == (
        2,
        True,
    )


def test_a_line_of_the_best_answers():
    from tflm.data.passages import FoundAnswer, FoundAnswers

    found = FoundAnswers(
        (FoundAnswer("two\n words", 0, 3.0, 0.7), FoundAnswer("b", 5, 2.0, 0.3)), no_answer=2.75
    )
    question = Question("id", "?", "", ())
    with program_in_process("trainers.answer") as program:
        assert program.line_of(question, found, 2, None) == "id\ttwo words\t3.0000\tb\t2.0000"
        assert program.line_of(question, found, 2, 0.5) == "id\ttwo words\t3.0000\t\t2.2500"
        assert program.line_of(question, found, 1, -0.5) == "id\t\t3.2500"


def test_it_goes_on_as_if_it_had_not_been_stopped(files, tmp_path):
    options = {"accumulation": 2, "steps": 8, "eval_every": 4, "log_every": 4, "eval_tokens": 300}
    encoder = dataclasses.replace(BERT, dropout=0.1)
    fit.train(tiny(files, encoder, **options), tmp_path / "straight")
    fit.train(tiny(files, encoder, **options), tmp_path / "broken", until=4)
    fit.train(tiny(files, encoder, **options), tmp_path / "broken")
    assert differences_of(tmp_path / "straight", tmp_path / "broken") == []
