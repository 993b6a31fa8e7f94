"""A tagger over an encoder: its emissions and losses, and trainings seen from outside."""

import dataclasses
import json

import numpy as np
import pytest
from keras import ops

from tests.programs import program_in_process, run_program
from tests.trainers.test_classify import ENCODERS
from tflm import models, run
from tflm.data.corpora import DataConfig
from tflm.data.features import LABELS, PADDING_MASK, TOKEN_IDS, WEIGHTS, WORD_POSITIONS
from tflm.errors import UserError
from tflm.models.tagger import TaggerConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers import fit, objectives
from trainers.experiment import Experiment, TrainConfig, from_dict, to_dict
from trainers.objectives.tag import TagConfig
from trainers.run_differences import differences_of

NAMES = {"PER": ["ada", "bob lee", "eve"], "LOC": ["rome", "new york"]}
PLAIN = ["saw", "a", "the", "in", "film", "of"]


def tagged_sentence(random) -> list[tuple[str, str]]:
    rows = []
    for _ in range(random.integers(2, 6)):
        if random.random() < 0.5:
            kind = random.choice(list(NAMES))
            first, *rest = random.choice(NAMES[kind]).split()
            rows += [(first, f"B-{kind}"), *((word, f"I-{kind}") for word in rest)]
        else:
            rows.append((random.choice(PLAIN), "O"))
    return rows


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    random = np.random.default_rng(0)
    paths = {}
    for name, count in (("train", 300), ("validation", 50), ("test", 50)):
        sentences = [tagged_sentence(random) for _ in range(count)]
        paths[name] = folder / f"{name}.conll"
        paths[name].write_text(
            "".join("".join(f"{w}\t{t}\n" for w, t in rows) + "\n" for rows in sentences)
        )
    return paths


def tiny(files, encoder, decoder="crf", scheme="", **train) -> Experiment:
    settings = {
        "steps": 60,
        "batch_size": 16,
        "sequence_length": 8,  # most sentences are longer
        "learning_rate": 1e-2,
        "warmup_steps": 5,
        "eval_every": 30,
        "sample_tokens": 0,
        "jit_compile": "off",
    }
    return Experiment(
        model=TaggerConfig(dataclasses.replace(encoder, vocabulary_size=0), decoder=decoder),
        objective=TagConfig(overlap=2, scheme=scheme),
        tokenizer=TokenizerConfig(kind="word", vocabulary_size=100),
        data=DataConfig(
            corpus=str(files["train"]),
            validation_corpus=str(files["validation"]),
            test_corpus=str(files["test"]),
            workers=1,
        ),
        train=TrainConfig(**(settings | train)),
    )


@pytest.fixture(scope="module")
def run_dir(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tagger"
    fit.train(tiny(files, ENCODERS["lstm"], steps=300, eval_every=300), folder)
    return folder


@pytest.mark.parametrize("name", ENCODERS)
def test_emissions_are_those_of_first_tokens(name):
    model = models.build(TaggerConfig(ENCODERS[name], num_labels=3))
    random = np.random.default_rng(0)
    token_ids = random.integers(4, 260, (2, 9)).astype("int32")
    mask = np.arange(9)[None, :] < np.array([9, 6])[:, None]
    positions = np.array([[1, 4, 7], [1, 2, 0]], "int32")
    if name == "bert":
        sequence = model.encoder(token_ids, padding_mask=mask)["sequence"]
    else:
        sequence = model.encoder.hidden(token_ids)[0]
    kernel, bias = (np.array(v.numpy()) for v in model.output_layer.variables)
    every = np.array(ops.convert_to_numpy(sequence)) @ kernel + bias
    found = ops.convert_to_numpy(model(token_ids, positions, padding_mask=mask))
    expected = np.stack([every[row, positions[row]] for row in range(2)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    whole = ops.convert_to_numpy(model(token_ids, padding_mask=mask))
    np.testing.assert_allclose(whole, every, atol=1e-5)


def a_batch() -> dict:
    random = np.random.default_rng(1)
    is_word = np.array([[True, True, True, False], [True, False, False, False], [False] * 4])
    return {
        TOKEN_IDS: random.integers(4, 260, (3, 6)).astype("int32"),
        PADDING_MASK: np.ones((3, 6), bool),
        WORD_POSITIONS: np.array([[1, 2, 4, 0], [3, 0, 0, 0], [0] * 4], "int32"),
        LABELS: (random.integers(0, 3, (3, 4)) * is_word).astype("int32"),
        WEIGHTS: (is_word / 4).astype("float32"),
    }


def test_the_loss_of_words_by_themselves():
    model = models.build(TaggerConfig(ENCODERS["bert"], num_labels=3, dropout=0.0))
    model.output_layer.kernel.assign(np.random.default_rng(2).normal(size=(16, 3)))
    batch = a_batch()
    logits = np.array(model(batch[TOKEN_IDS], batch[WORD_POSITIONS]), "float64")
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    words = [(0, 0), (0, 1), (0, 2), (1, 0)]
    expected = -np.mean([logs[row, word, batch[LABELS][row, word]] for row, word in words])
    found, carry = objectives.build(TagConfig()).loss(model, batch, {})
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert carry == {}


def test_the_loss_of_sentences():
    model = models.build(TaggerConfig(ENCODERS["bert"], num_labels=3, decoder="crf", dropout=0.0))
    random = np.random.default_rng(2)
    model.output_layer.kernel.assign(random.normal(size=(16, 3)))
    for variable in (model.crf.transitions, model.crf.first, model.crf.last):
        variable.assign(random.normal(size=variable.shape))
    batch = a_batch()
    emissions = model(batch[TOKEN_IDS], batch[WORD_POSITIONS])
    chances = model.crf.log_likelihood(emissions, batch[LABELS], batch[WEIGHTS] > 0)
    found, _ = objectives.build(TagConfig()).loss(model, batch, {})
    assert float(found) == pytest.approx(-float(np.sum(chances)) / 4, rel=1e-5)


def test_an_experiment_comes_back():
    for encoder in ENCODERS.values():
        experiment = Experiment(
            TaggerConfig(encoder, num_labels=2, decoder="crf"),
            TagConfig(labels=("a", "b"), scheme="bioes", window=30),
        )
        assert from_dict(to_dict(experiment)) == experiment


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TaggerConfig(decoder="hmm"), "model.decoder 'hmm'. Choose one of: crf, softmax"),
        (lambda: TagConfig(scheme="bilou"), "objective.scheme 'bilou'. Choose one of: .*bio, bioes"),
        (lambda: TagConfig(window=99).complete(None, TrainConfig(sequence_length=48)),
         "`objective.window` must be at most train.sequence_length=48. Received: 99"),
        (lambda: TagConfig().complete(None, TrainConfig(sequence_length=20)),
         "`objective.overlap` must be at least 0 and leave room in a window of 20 tokens"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_it_learns_and_is_evaluated(run_dir, files):
    from trainers.evaluation import results

    result = results.evaluate(run_dir, "test")
    assert result["entity_f1"] > 0.9
    assert result["num_sentences"] == 50 < result["documents"]
    assert set(result["entity_types"]) == set(NAMES)
    lines = [line.split() for line in results.lines_of(result)]
    assert ["F1", "of", "entities:", f"{result['entity_f1']:.2%}"] in lines
    json.loads(results.json_of(result))
    from_file = results.evaluate(run_dir, file=str(files["test"]))
    assert from_file["entity_f1"] == result["entity_f1"]
    # By the program that tags, and seqeval.
    from seqeval.metrics import f1_score
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    from tflm.data.tagged import read_tagged

    sentences = read_tagged(files["test"])
    with program_in_process("trainers.tag") as program:
        found = program.tags_of(run.load(run_dir), [list(s.words) for s in sentences])
    true = [list(s.tags) for s in sentences]
    assert f1_score(true, found) == pytest.approx(result["entity_f1"], abs=1e-9)
    recall = precision_recall_fscore_support(true, found, average=None)[1]
    by_type = [result["entity_types"][kind]["recall"] for kind in sorted(NAMES)]
    np.testing.assert_allclose(by_type, recall, atol=1e-9)
    same = [a == b for t, f in zip(true, found, strict=True) for a, b in zip(t, f, strict=True)]
    assert result["accuracy"] == pytest.approx(np.mean(same))


def test_the_program_keeps_order_and_empty_lines(run_dir, tmp_path):
    lines = ["ada saw rome", "", "the film", "new york " * 20]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out.conll"
    done = run_program(
        "trainers.tag", f"--run_dir={run_dir}", f"--input_file={tmp_path / 'in.txt'}",
        f"--output={out}", "--scheme=bioes",
    )  # fmt: skip
    assert done.code == 0, done.err
    blocks = out.read_text().removesuffix("\n").split("\n")
    sentences, words = [], []
    for row in blocks:
        if row:
            words.append(row.split("\t"))
        else:
            sentences.append(words)
            words = []
    assert [[word for word, _ in sentence] for sentence in sentences] == [x.split() for x in lines]
    assert [tag for _, tag in sentences[0]] == ["S-PER", "O", "S-LOC"]


def test_how_the_program_finds_words(run_dir, files, tmp_path):
    (tmp_path / "zh.txt").write_text("我 在\u3000北京\n", encoding="utf-8")
    with program_in_process("trainers.tag") as program:
        found = program.read_sentences(str(tmp_path / "zh.txt"), "characters", {})
        assert found == [["我", "在", "北", "京"]]
        data = run.load(run_dir).experiment["data"]
        columns = program.read_sentences(str(files["test"]), "columns", data)
    assert len(columns) == 50


def test_it_goes_on_as_if_it_had_not_been_stopped(files, tmp_path):
    options = {"accumulation": 2, "steps": 8, "eval_every": 4, "log_every": 1}
    encoder = ENCODERS["lstm"]  # what it makes of words is dropped out, too
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    fit.train(tiny(files, encoder, scheme="bioes", **options), straight)
    fit.train(tiny(files, encoder, scheme="bioes", **options), broken, until=4)
    fit.train(tiny(files, encoder, scheme="bioes", **options), broken)
    assert differences_of(straight, broken) == []
    labels = run.load(broken).experiment["objective"]["labels"]
    assert set(labels) == {"O", *(f"{p}-{t}" for p in "BES" for t in NAMES)}


def test_tags_that_name_no_entities(files, tmp_path):
    text = files["train"].read_text()
    for old, new in (("B-PER", "NOUN"), ("I-PER", "NOUN"), ("B-LOC", "PLACE"), ("I-LOC", "PLACE")):
        text = text.replace(old, new)
    (tmp_path / "pos.conll").write_text(text)
    experiment = tiny(files, ENCODERS["lstm"], "softmax", steps=2, eval_every=2)
    experiment.data = DataConfig(corpus=str(tmp_path / "pos.conll"), workers=1)
    result = fit.train(experiment, tmp_path / "run")
    assert result.metrics["error"] == 1 - result.metrics["accuracy"]
    assert "entity_f1" not in result.metrics
