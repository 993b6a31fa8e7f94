import json

from trainers.comparison.artifacts import Artifact, read_artifacts


def _entry(kind, quantization, size, **proof):
    return {"format": kind, "quantization": quantization, "bytes": size, "step": 7, "proof": proof}


def test_the_numbers_of_the_proofs(tmp_path):
    entries = {
        "model_dynamic_int8.tflite": _entry(
            "tflite",
            "dynamic_int8",
            250,
            decode_tokens_per_second=90.5,
            token_agreement=0.99,
            greedy_agreement=0.5,
            bits_per_byte_change=0.002,
        ),
        "saved_model": _entry("saved_model", "none", 1000, neighbour_agreement=1.0),
        "new.kind": _entry("kind", "none", 5),
    }
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "manifest.json").write_text(json.dumps({"artifacts": entries}))
    assert read_artifacts(tmp_path) == [
        Artifact("SavedModel", 1000, 7, agreement=1.0),
        Artifact("tflite int8", 250, 7, 90.5, 0.99, 0.002),
        Artifact("new.kind", 5, 7),
    ]


def test_nothing_exported(tmp_path):
    assert read_artifacts(tmp_path) == []


def test_a_damaged_manifest_is_said_and_left_out(tmp_path):
    (tmp_path / "export").mkdir()
    for text in ("{half", '{"artifacts": [1]}', '{"artifacts": {"a": {"format": "x"}}}'):
        (tmp_path / "export" / "manifest.json").write_text(text)
        said = []
        assert read_artifacts(tmp_path, said.append) == []
        assert len(said) == 1 and "manifest.json" in said[0]
