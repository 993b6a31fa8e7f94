"""A classifier over an encoder: its batches, what stands for a text, and trainings seen from outside."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tests.data.fake_tokenizer import ByteTokenizer
from tests.programs import program_in_process
from tests.zoo import ZOO
from tflm import models, run
from tflm.data import features
from tflm.data.corpora import DataConfig
from tflm.data.labelled_store import unlabelled_split
from tflm.data.text_batches import TextBatches
from tflm.errors import UserError
from tflm.models.bert import BERTConfig
from tflm.models.classifier import ClassifierConfig
from tflm.models.word2vec import Word2VecConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers import fit
from trainers.experiment import Experiment, TrainConfig, from_dict, to_dict
from trainers.objectives.causal import CausalConfig
from trainers.objectives.classify import ClassifyConfig, log_softmax
from trainers.run_differences import differences_of

BERT = BERTConfig(
    vocabulary_size=260,
    num_layers=1,
    num_heads=2,
    hidden_dim=16,
    max_sequence_length=48,
    dropout=0.0,
)
ENCODERS = {"bert": BERT, "lstm": ZOO["lstm"], "gpt": ZOO["gpt_rotary"]}
NICE = ["good", "fine", "great", "lovely"]
POOR = ["bad", "awful", "poor", "dull"]


def labelled_split(count=37, seed=0):
    random = np.random.default_rng(seed)
    texts = ["x" * random.integers(0, 40) for _ in range(count)]
    split = unlabelled_split(texts, ByteTokenizer())
    split.labels[:] = random.integers(0, 3, count)
    return split


def tokens_of(split, i: int) -> list[int]:
    ends = [*split.document_starts[1:], len(split.tokens)]
    return split.tokens[split.document_starts[i] : ends[i]].tolist()


def test_every_text_is_in_one_batch_of_a_pass():
    split = labelled_split()
    batches = TextBatches(split, (0, 3), 24, 4, seed=None)
    seen = []
    for step in range(batches.num_batches):
        batch, texts = batches.batch(step), batches.texts(step)
        assert batch[features.TOKEN_IDS].shape in batches.shapes
        assert (batch[features.WEIGHTS] > 0).sum() == len(texts)
        assert batch[features.WEIGHTS].sum() == pytest.approx(1)
        for row, text in enumerate(texts):
            expected = tokens_of(split, text)
            if len(expected) > 24:
                expected = [*expected[:23], 3]
            mask = batch[features.PADDING_MASK][row]
            assert batch[features.TOKEN_IDS][row][mask].tolist() == expected
            assert (batch[features.TOKEN_IDS][row][~mask] == 0).all()
            assert batch[features.LABELS][row] == split.labels[text]
        seen += texts.tolist()
    assert sorted(seen) == list(range(37))


def test_an_epoch_has_every_text_and_an_order_of_its_own():
    split = labelled_split(count=40)
    batches = TextBatches(split, (0, 3), 48, 4, seed=1)
    steps = round(3 * batches.steps_per_epoch)
    seen = np.concatenate([batches.texts(step) for step in range(steps)])
    counts = np.bincount(seen, minlength=40)
    assert counts.min() >= 2 and counts.max() <= 4
    again = TextBatches(split, (0, 3), 48, 4, seed=1)
    np.testing.assert_array_equal(again.texts(7), batches.texts(7))
    other = TextBatches(split, (0, 3), 48, 4, seed=2)
    assert any((other.texts(i) != batches.texts(i)).any() for i in range(5))


def test_class_weights_let_every_label_count_alike():
    split = labelled_split(count=400)
    split.labels[:] = np.arange(400) % 10 == 0  # one in ten
    counts = np.bincount(split.labels)
    batches = TextBatches(split, (0, 3), 48, 400, None, 400 / (2 * counts))
    totals = np.zeros(2)
    for step in range(batches.num_batches):
        batch = batches.batch(step)
        weights = batch[features.WEIGHTS] * len(batches.texts(step))
        totals += np.bincount(batch[features.LABELS], weights, minlength=2)
    assert totals[0] == pytest.approx(totals[1], rel=0.15)


@pytest.mark.parametrize("pooling", ["first", "last", "mean", "max"])
@pytest.mark.parametrize("name", ENCODERS)
def test_what_stands_for_a_text(name, pooling):
    config = ClassifierConfig(ENCODERS[name], num_labels=3, pooling=pooling)
    model = models.build(config)
    lengths = np.array([9, 4, 1])
    random = np.random.default_rng(0)
    token_ids = random.integers(4, 260, (3, 9)).astype("int32")
    mask = np.arange(9)[None, :] < lengths[:, None]
    if name == "bert":
        sequence = model.encoder(token_ids, padding_mask=mask)["sequence"]
    else:
        sequence = model.encoder.hidden(token_ids)[0]
    sequence = np.array(ops.convert_to_numpy(sequence))
    rows = [row[:length] for row, length in zip(sequence, lengths, strict=True)]
    pooled = {
        "first": [row[0] for row in rows],
        "last": [row[-1] for row in rows],
        "mean": [row.mean(axis=0) for row in rows],
        "max": [row.max(axis=0) for row in rows],
    }[pooling]
    kernel, bias = (np.array(v.numpy()) for v in model.output_layer.variables)
    found = ops.convert_to_numpy(model(token_ids, padding_mask=mask))
    np.testing.assert_allclose(found, pooled @ kernel + bias, atol=1e-5)


def test_an_experiment_with_an_encoder_comes_back():
    for encoder in ENCODERS.values():
        experiment = Experiment(
            ClassifierConfig(encoder, num_labels=2), ClassifyConfig(labels=("a", "b"))
        )
        assert from_dict(to_dict(experiment)) == experiment
    with pytest.raises(UserError, match="must be of one of bert, rnn, gpt. Received a config of"):
        ClassifierConfig(Word2VecConfig())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    paths = {}
    for name, count in (("train", 300), ("validation", 60), ("test", 60)):
        lines = []
        for i in range(count):
            label, words = (("nice", NICE), ("nasty", POOR))[i % 2]
            lines.append(f"{label}\tthe {' and the '.join(random.choice(words, 2))} film\n")
        paths[name] = folder / f"{name}.tsv"
        paths[name].write_text("".join(lines))
    return paths


def tiny(files, encoder, **train) -> Experiment:
    settings = {
        "steps": 60,
        "batch_size": 16,
        "sequence_length": 48,
        "learning_rate": 3e-3,
        "warmup_steps": 5,
        "eval_every": 30,
        "sample_tokens": 0,
        "jit_compile": "off",
    }
    return Experiment(
        model=ClassifierConfig(dataclasses.replace(encoder, vocabulary_size=0)),
        objective=ClassifyConfig(),
        tokenizer=TokenizerConfig(kind="byte"),
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
    folder = tmp_path_factory.mktemp("runs") / "classifier"
    fit.train(tiny(files, ENCODERS["lstm"]), folder)
    return folder


def test_it_learns_and_is_evaluated(run_dir, files):
    from trainers.evaluation import results

    result = results.evaluate(run_dir, "test")
    assert result["accuracy"] == 1.0
    assert any(line.split() == ["accuracy:", "100.00%"] for line in results.lines_of(result))
    assert results.evaluate(run_dir, file=str(files["validation"]))["documents"] == 60


def test_the_program_that_labels_lines_keeps_their_order(run_dir):
    loaded = run.load(run_dir)
    texts = ["a lovely film", "the dull and the awful " * 9, "", "great"]
    with program_in_process("trainers.classify") as program:
        found = program.probabilities(loaded, texts)
    for text, shares in zip(texts, found, strict=True):
        tokens = [2, *loaded.tokenizer.encode(text), 3]
        if len(tokens) > 48:
            tokens = [*tokens[:47], 3]
        logits = np.array(loaded.model(np.array([tokens], "int32")), "float64")
        np.testing.assert_allclose(shares, np.exp(log_softmax(logits))[0], atol=1e-5)


def test_it_goes_on_as_if_it_had_not_been_stopped(files, tmp_path):
    options = {"accumulation": 2, "steps": 20, "eval_every": 10}
    encoder = dataclasses.replace(BERT, dropout=0.1)
    fit.train(tiny(files, encoder, **options), tmp_path / "straight")
    fit.train(tiny(files, encoder, **options), tmp_path / "broken", until=10)
    fit.train(tiny(files, encoder, **options), tmp_path / "broken")
    assert differences_of(tmp_path / "straight", tmp_path / "broken") == []


def test_it_begins_with_the_encoder_of_a_run(files, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"the lovely and the awful film {i}\n" for i in range(300)))
    language_model = tiny(files, ZOO["gpt_rotary"], steps=2, eval_every=2, eval_tokens=200)
    language_model.data = DataConfig(corpus=str(text), documents="line", workers=1)
    language_model.model = dataclasses.replace(ZOO["gpt_rotary"], vocabulary_size=0)
    language_model.objective = CausalConfig()
    fit.train(language_model, tmp_path / "gpt")
    experiment = tiny(files, BERT, steps=1, eval_every=1, learning_rate=1e-9, batch_size=4)
    experiment.train.init_from = str(tmp_path / "gpt")
    fit.train(experiment, tmp_path / "tuned")
    before, after = run.load(tmp_path / "gpt"), run.load(tmp_path / "tuned")
    assert after.model.config.encoder == before.model.config
    assert after.tokenizer.fingerprint() == before.tokenizer.fingerprint()
    token_ids = np.array([[2, 70, 71, 72, 3]], "int32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(after.model.encoder(token_ids)),
        ops.convert_to_numpy(before.model(token_ids)),
        atol=1e-5,
    )
