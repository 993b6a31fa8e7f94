"""What translates is held against its model on held-out pairs, and kept where it computes the same."""

import numpy as np
import pytest

from export import artifacts, formats, held_out_pairs, lengths, manifest, tflite
from export import prove_sequence_to_sequence as prove
from export.source_reader import reader_of
from export.thresholds import THRESHOLDS
from tests.export import translation_runs
from tests.export.translation_runs import translation_run
from tests.programs import program_in_process
from tflm.errors import UserError

PAIRS = [("saved_model", "none"), ("tflite", "none"), ("tflite", "dynamic_int8")]


def exported(run, folder, pairs, **options):
    return artifacts.export(
        run, folder, pairs, lengths.settled(run.model, None, None, **options), num_pairs=6
    )


@pytest.mark.parametrize(
    "name",
    [
        "transformer_rotary",
        pytest.param("lstm_bahdanau", marks=pytest.mark.slow),
        pytest.param("gpt", marks=pytest.mark.slow),
    ],
)
def test_right_artifacts_are_kept_with_their_figures(tmp_path, name):
    run = translation_run(name)
    results = exported(run, tmp_path, PAIRS)
    for result in results:
        figures = result.figures
        if result.quantization == "none":
            assert result.failures == []
            assert figures["max_logit_difference"] < 1e-3
            assert figures["greedy_agreement"] == 1
            assert figures["token_agreement"] == 1
            assert abs(figures["bits_per_byte_change"]) < 1e-4
            assert figures["bleu_change"] == 0
        assert figures["finite"]
        assert figures["num_pairs"] == 6
        assert figures["modules_of_this_project"] == []
        assert 0 <= figures["bleu"] <= 100
        assert figures["decode_tokens_per_second"] > 1
        assert figures["greedy_tokens_per_second"] > 1
        first = "prefill" if name == "gpt" else "encode"
        assert figures[f"{first}_tokens_per_second"] > 1
        assert 0 < figures["memory_of_runtime_mb"] < figures["peak_memory_mb"] < 4000
    saved_model = results[0].figures
    assert saved_model["beam_agreement"] == 1
    assert saved_model["beam_bleu_change"] == 0
    assert saved_model["texts_per_second"] > 0
    entry = manifest.read(tmp_path)["artifacts"]["model_float32.tflite"]
    assert entry["source_length"] == (None if name == "gpt" else lengths_of(run).source)
    assert ("source_tokenizer" in entry) == (run.source_tokenizer is not run.tokenizer)
    assert (tmp_path / "source_tokenizer").exists() == ("source_tokenizer" in entry)
    with program_in_process("export.export_model") as export_model:
        table = str_of(export_model.table_of(results, "x"))
    assert "BLEU of" in table and "same" in table
    assert not list(tmp_path.glob(".*.partial"))


def lengths_of(run):
    return lengths.settled(run.model, None, None)


def str_of(table) -> str:
    from rich.console import Console

    console = Console(width=250)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_score_of_a_summary_is_rouge(tmp_path):
    run = translation_run("lstm_luong", metric="rouge", metric_words="characters")
    (result,) = exported(run, tmp_path, PAIRS[1:2])
    assert result.figures["rouge_l_change"] == 0
    assert "bleu" not in result.figures


def test_the_greedy_tokens_of_the_keras_side_are_those_of_a_beam_of_one():
    """Full passes without a cache against the search of tflm.generation, which goes step by step."""
    for name in ("lstm_bahdanau", "gpt"):
        run = translation_run(name)
        pairs = held_out_pairs.from_run(run, None, run.model.max_sequence_length, 5)
        expected = prove.reference(run, pairs)
        texts = [run.tokenizer.decode(row) for row in expected.continuations]
        wanted = translation_runs.translations(
            run, pairs.sources, beam_size=1, max_length=pairs.new_tokens
        )
        blocked = [{0, 2} & set(row) for row in expected.continuations]
        assert any(not some for some in blocked)
        for text, other, some in zip(texts, wanted, blocked, strict=True):
            assert some or text == other


def other_weights(run, path, quantization, chunk_lengths):
    """A writer with a bug: the embedding of the target is another one."""
    variable = run.model.token_embedding.embeddings
    before = variable.value.numpy()
    variable.assign(np.roll(before, 1, axis=1))
    try:
        tflite.write(run, path, quantization, chunk_lengths)
    finally:
        variable.assign(before)


def test_a_wrong_artifact_is_removed_and_named(tmp_path, monkeypatch):
    run = translation_run("transformer_shared")
    monkeypatch.setattr(formats, "write_function", lambda name: other_weights)
    (result,) = exported(run, tmp_path, PAIRS[1:2])
    failures = "; ".join(result.failures)
    assert "max |dlogit|" in failures
    assert "greedy translations agree for" in failures
    assert "\n" not in failures
    assert manifest.read(tmp_path)["artifacts"] == {}
    assert not (tmp_path / result.path).exists()


def test_held_out_pairs_are_what_the_model_reads():
    run = translation_run("transformer_shared")
    pairs = held_out_pairs.from_run(run, 48, 48, 0)
    assert len(pairs.sources) == len(translation_runs.SENTENCES)
    source, target = translation_runs.SENTENCES[0]
    assert (pairs.sources[0], pairs.targets[0]) == (source, target)
    assert pairs.source_ids[0] == [*(4 + b for b in source.encode()), 3]
    assert pairs.target_ids[0] == [*(4 + b for b in target.encode()), 3]
    assert pairs.new_tokens == 47
    short = held_out_pairs.from_run(run, 20, 48, 0)
    assert 0 < len(short.sources) < len(pairs.sources)
    assert max(map(len, short.source_ids)) <= 20
    assert len(held_out_pairs.from_run(run, 48, 48, 7).sources) == 7
    with pytest.raises(UserError, match="fits the lengths of the artifact, 3 and 48 tokens"):
        held_out_pairs.from_run(run, 3, 48, 0)

    decoder = translation_run("gpt")
    pairs = held_out_pairs.from_run(decoder, None, 96, 0)
    prompt = f"translate: {source}\n".encode()
    assert pairs.source_ids[0] == [2, *(4 + b for b in prompt)]
    assert max(map(len, pairs.source_ids)) + pairs.new_tokens == 95


@pytest.mark.parametrize("name", ["transformer_rotary", "gpt"])
def test_a_source_in_the_graph_is_the_same_as_in_python(name):
    import tensorflow as tf

    run = translation_run(name)
    texts = ["The old horse", "", "A cat!"]
    ids, counts = reader_of(run).ids_in_graph(run.source_tokenizer.in_graph(), tf.constant(texts))
    assert ids.to_list() == [reader_of(run).ids(text) for text in texts]
    assert counts.numpy().tolist() == [len(run.source_tokenizer.encode(text)) for text in texts]


def figures_of(**changed):
    figures = {
        "finite": True,
        "max_logit_difference": 1e-5,
        "token_agreement": 1.0,
        "greedy_agreement": 1.0,
        "bits_per_byte_change": 0.0,
        "bleu_change": 0.0,
        "beam_agreement": 1.0,
    }
    return figures | changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"finite": False}, "its logits are not finite"),
        ({"token_agreement": 0.5}, "token agreement 0.5000 is below 0.999"),
        ({"greedy_agreement": 0.5}, "greedy translations agree for 50% of the sources, below 100%"),
        ({"bleu_change": -1.5}, "BLEU falls by 1.50, more than 0.1"),
        ({"beam_bleu_change": -1.5}, "BLEU of the beam search falls by 1.50, more than 0.1"),
        ({"rouge_l_change": float("nan")}, "ROUGE-L falls by nan"),
        ({"beam_agreement": 0.5}, "the beam search gives the same text for 50% of the sources"),
    ],
)
def test_what_is_past_its_threshold_is_said(changed, message):
    assert prove._judge(figures_of(), THRESHOLDS["none"]) == []
    (failure,) = prove._judge(figures_of(**changed), THRESHOLDS["none"])
    assert message in failure


def test_better_by_chance_is_no_fault():
    assert prove._judge(figures_of(bleu_change=3.0), THRESHOLDS["dynamic_int8"]) == []
    assert prove._judge(figures_of(bleu_change=-3.0), THRESHOLDS["dynamic_int8"]) != []


class Encoding:
    max_sequence_length = 48
    max_source_length = 40
    name = "seq2seq_transformer"


class Unbounded(Encoding):
    max_sequence_length = max_source_length = None
    name = "seq2seq_lstm"


class Decoding:
    max_sequence_length = 48
    name = "gpt"


def test_lengths_that_suit_an_encoder():
    assert lengths.settled(Encoding, None, None) == lengths.Lengths((), 48, 40)
    assert lengths.settled(Encoding, None, 20, source=10, beam_size=2) == lengths.Lengths(
        (), 20, 10, 2
    )
    assert lengths.settled(Unbounded, None, None) == lengths.Lengths((), None, 128)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Encoding, {"source": 41}, "--source_length must be at least 2 and at most the model's 40"),
        (Unbounded, {"source": 1}, "--source_length must be at least 2. Received: 1."),
        (Decoding, {"source": 8}, "--source_length is for models with an encoder. Received: 8"),
        (Encoding, {"beam_size": 0}, "--beam_size must be at least 1. Received: 0."),
        (Encoding, {"length_penalty": -1.0}, "--length_penalty must be at least 0"),
    ],
)
def test_lengths_that_do_not_fit(model, options, message):
    with pytest.raises(UserError) as error:
        lengths.settled(model, None, None, **options)
    assert message in str(error.value)


def test_an_encoder_has_no_prefill():
    with pytest.raises(UserError, match="--prefill_lengths are for models without an encoder"):
        lengths.settled(Encoding, (16,), None)
