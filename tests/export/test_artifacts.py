"""Writing, proving, keeping: a right artifact is kept, a wrong one is removed and named."""

import json

import pytest
import tensorflow as tf

from export import artifacts, formats, held_out, lengths, manifest, tflite
from export import prove_language_model as prove
from export.greedy_reference import Greedy
from tests.export import fake_run
from tflm.errors import UserError


def exported(run, folder, pairs, **options):
    chunks = lengths.settled(run.model, None, None)
    return artifacts.export(run, folder, pairs, chunks, **options)


@pytest.mark.parametrize("name", ["gpt_rotary", "lstm"])
def test_right_artifacts_are_kept_with_their_figures(tmp_path, name):
    run = fake_run.fake_run(name)
    pairs = [("saved_model", "none"), ("tflite", "none"), ("tflite", "dynamic_int8")]
    if name == "lstm":
        pairs = pairs[1:]
    results = exported(run, tmp_path, pairs)
    for result in results:
        if result.quantization == "none":
            assert result.failures == []
            assert result.figures["max_logit_difference"] < 1e-3
            assert result.figures["greedy_agreement"] == 1
            assert abs(result.figures["bits_per_byte_change"]) < 1e-4
            assert (tmp_path / result.path).exists()
        figures = result.figures
        assert figures["finite"]
        assert figures["num_prompts"] == 8
        assert figures["modules_of_this_project"] == []
        assert 0 < figures["load_ms"] < 60_000
        assert 0 < figures["memory_of_runtime_mb"] < figures["peak_memory_mb"] < 4000
        assert figures["decode_tokens_per_second"] > 1
        assert figures["prefill_tokens_per_second"] > 1
    entries = manifest.read(tmp_path)["artifacts"]
    for result in results:
        if result.failures:
            continue
        entry = entries[result.path]
        assert (entry["bytes"], entry["sha256"]) == manifest.size_and_checksum(
            tmp_path / result.path
        )
        assert entry["proof"] == result.figures
        assert entry["step"] == 10
        assert "decode" in entry["signatures"]
    assert (tmp_path / "tokenizer" / "tokenizer.json").exists()
    assert not list(tmp_path.glob(".*.partial"))


def test_bits_per_byte_is_what_the_rolling_score_says_of_the_same_windows(tmp_path):
    """The Keras side of the proof against another implementation of the score."""
    from tflm.metrics.rolling import RollingScorer

    run = fake_run.fake_run("gpt_learned")
    split = fake_run.held_out_split(run.tokenizer)
    text = held_out.from_tokens(split.tokens, split.document_starts, run.tokenizer, 48)
    expected = prove.reference(run, text)
    scorer = RollingScorer(run.model, 48, 4, not_predicted=-1)
    assert text.windows.shape[1] == 49
    nats = sum(scorer.score(window)[0] for window in text.windows)
    assert expected.nats.sum() == pytest.approx(nats, rel=1e-5)
    documents = "".join(fake_run.DOCUMENTS)
    assert text.num_bytes <= len(documents)
    assert all(prompt and prompt in documents for prompt in text.prompts)
    assert all(len(p) + text.new_tokens <= 48 for p in text.prompt_ids)


def test_the_greedy_tokens_of_the_keras_side_are_those_of_the_decoder():
    run = fake_run.fake_run("gru")
    split = fake_run.held_out_split(run.tokenizer)
    text = held_out.from_tokens(split.tokens, split.document_starts, run.tokenizer, None)
    expected = prove.reference(run, text)
    drawn = fake_run.continue_with_decoder(run, text.prompts, text.new_tokens, temperature=0.0)
    assert expected.greedy.continuations == drawn


def other_weights(run, path, quantization, chunk_lengths):
    """A writer with a bug: one matrix is another one."""
    variable = max(run.model.trainable_variables, key=lambda v: v.path.endswith("expand/kernel"))
    before = variable.value.numpy()
    variable.assign(before[::-1])
    try:
        tflite.write(run, path, quantization, chunk_lengths)
    finally:
        variable.assign(before)


def without_weights(run, path, quantization, chunk_lengths):
    """The trap: a module that holds only the Keras model converts without complaint."""
    from export import signatures

    class OnlyKeras(tf.Module):
        def __init__(self, run, table):
            super().__init__()
            self.model, self.lengths = run.model, table.lengths

    before = signatures.module_of
    signatures.module_of = OnlyKeras
    try:
        tflite.write(run, path, quantization, chunk_lengths)
    finally:
        signatures.module_of = before


def not_a_model(run, path, quantization, chunk_lengths):
    path.write_bytes(b"TFL3" * 100)


@pytest.mark.parametrize(
    ("writer", "quantization", "named"),
    [
        (other_weights, "none", "max |dlogit|"),
        (other_weights, "dynamic_int8", "bits per byte"),
        (not_a_model, "none", "a fresh interpreter could not run it"),
    ],
)
def test_a_wrong_artifact_is_removed_and_named(tmp_path, monkeypatch, writer, quantization, named):
    run = fake_run.fake_run("gpt_rotary")
    monkeypatch.setattr(formats, "write_function", lambda name: writer)
    (result,) = exported(run, tmp_path, [("tflite", quantization)])
    assert named in "; ".join(result.failures)
    assert "\n" not in "; ".join(result.failures)
    assert not (tmp_path / result.path).exists()
    assert manifest.read(tmp_path)["artifacts"] == {}
    assert not list(tmp_path.glob(".*.partial"))


def test_a_file_without_weights_is_caught(tmp_path, monkeypatch):
    run = fake_run.fake_run("word2vec")
    monkeypatch.setattr(formats, "write_function", lambda name: without_weights)
    (result,) = exported(run, tmp_path, [("tflite", "none")])
    assert result.failures
    assert not (tmp_path / result.path).exists()


def test_an_older_artifact_survives_a_failed_export(tmp_path, monkeypatch):
    run = fake_run.fake_run("word2vec")
    (first,) = exported(run, tmp_path, [("tflite", "none")])
    content = (tmp_path / first.path).read_bytes()
    monkeypatch.setattr(formats, "write_function", lambda name: not_a_model)
    (second,) = exported(run, tmp_path, [("tflite", "none")])
    assert second.failures
    assert (tmp_path / first.path).read_bytes() == content
    assert first.path in manifest.read(tmp_path)["artifacts"]


def test_word_vectors_are_proved_by_their_neighbours(tmp_path, monkeypatch):
    run = fake_run.fake_run("word2vec", objective="skip_gram")
    pairs = [("tflite", "none"), ("tflite", "dynamic_int8")]
    for result in exported(run, tmp_path, pairs):
        assert result.failures == []
        assert result.figures["neighbour_agreement"] > 0.9
    assert result.figures["vector_cosine"] < 0.999999  # int8 is not float32

    def swapped(run, path, quantization, chunk_lengths):
        table = run.model.embeddings().value.numpy()
        run.model.embeddings().assign(table[::-1])
        tflite.write(run, path, quantization, chunk_lengths)
        run.model.embeddings().assign(table)

    monkeypatch.setattr(formats, "write_function", lambda name: swapped)
    (result,) = exported(run, tmp_path, pairs[1:])
    assert "cosine" in result.failures[0]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    run = fake_run.fake_run("word2vec")
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(UserError) as error:
        exported(run, file / "export", [("tflite", "none")])
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_two_exports_at_once_are_refused(tmp_path):
    import filelock

    run = fake_run.fake_run("word2vec")
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(UserError, match="Another export is writing"),
    ):
        exported(run, tmp_path, [("tflite", "none")])


def test_formats_and_quantizations_by_name():
    both = formats.chosen(["saved_model", "tflite"], ["none", "dynamic_int8"])
    assert both == [("saved_model", "none"), ("tflite", "none"), ("tflite", "dynamic_int8")]
    for names, quantizations, message in (
        (
            ["savedmodel"],
            ["none"],
            "Unknown --format 'savedmodel'. Choose one of: fasttext_vec, glove, saved_model, tflite, word2vec",
        ),
        (["tflite"], ["int8"], "Unknown --quantize 'int8'. Choose one of: dynamic_int8, none"),
        (["saved_model"], ["dynamic_int8"], "saved_model has no quantization 'dynamic_int8'"),
        ([], ["none"], "at least one each"),
    ):
        with pytest.raises(UserError) as error:
            formats.chosen(names, quantizations)
        assert message in str(error.value)


def greedy_of(continuations, gaps):
    return Greedy(continuations, None, gaps, None)


def test_greedy_agreement_compares_up_to_the_first_tie():
    expected = greedy_of([[5, 6, 7], [5, 6, 7]], [[1, 1, 1, 1], [1, 0, 1, 1]])
    assert expected.agreement([[5, 6, 7], [5, 9, 9]]) == 1
    assert expected.agreement([[5, 6, 8], [5, 9, 9]]) == 0.5
    assert expected.agreement([[5, 6, 7], [4, 6, 7]]) == 0.5
    assert expected.agreement([[5, 6], [5, 6, 7]]) == 0.5  # ended too early
    assert expected.agreement([[5, 6, 7, 8], [5, 6, 7]]) == 0.5  # missed eos


def test_manifest_keeps_the_entries_of_other_artifacts(tmp_path):
    for path in ("a", "b", "gone"):
        (tmp_path / path).write_text(path)
        manifest.add(tmp_path, path, {"step": 1})
    (tmp_path / "gone").unlink()
    manifest.add(tmp_path, "a", {"step": 2})
    assert manifest.read(tmp_path)["artifacts"] == {"a": {"step": 2}, "b": {"step": 1}}
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="manifest.json is damaged"):
        manifest.add(tmp_path, "a", {"step": 3})


def test_checksum_of_a_folder_sees_names_and_contents(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_bytes(b"1")
    size, first = manifest.size_and_checksum(tmp_path / "x")
    assert size == 1
    (tmp_path / "x" / "a").rename(tmp_path / "x" / "b")
    assert manifest.size_and_checksum(tmp_path / "x")[1] != first
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    assert manifest.size_and_checksum(file) == (
        3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )
    json.dumps(manifest.versions())
