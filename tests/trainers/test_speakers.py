"""Runs that speak together: the same ids in and out, else one line that says what differs."""

import types

import pytest

from tflm import run as runs
from tflm.errors import UserError
from trainers import speakers


def fake_run(folder: str, kind="seq2seq", tokenizer="joint", source=None, encodes=True, prompt="x"):
    model = types.SimpleNamespace(
        config=types.SimpleNamespace(vocabulary_size=8), max_sequence_length=None
    )
    if encodes:
        model.encode = None
    sides = (types.SimpleNamespace(fingerprint=lambda n=n: n) for n in (tokenizer, source))
    target, own = sides
    return types.SimpleNamespace(
        run_dir=folder,
        step=3,
        model=model,
        tokenizer=target,
        source_tokenizer=own if source else target,
        experiment={"objective": {"kind": kind, "prompt_format": prompt}},
        is_language_model=kind == "causal",
        is_sequence_to_sequence=kind == "seq2seq",
    )


@pytest.fixture
def load(monkeypatch):
    def load(*fakes):
        by_folder = {fake.run_dir: fake for fake in fakes}
        monkeypatch.setattr(runs, "load", lambda folder, *_, **__: by_folder[folder])
        return speakers.load(",".join(by_folder), None, "float32", 1, print)

    return load


def test_one_or_several(load):
    alone = fake_run("a")
    assert load(alone).model is alone.model
    assert load(alone).reads_sources
    together = load(fake_run("a"), fake_run("b"))
    assert len(together.model.models) == 2
    assert not load(fake_run("a", kind="causal")).reads_sources


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"tokenizer": "another"}, "tokenizer"),
        ({"source": "another"}, "source tokenizer"),
        ({"kind": "causal"}, "objective"),
        ({"encodes": False}, "way to read a source"),
    ],
)
def test_runs_that_do_not_fit(other, what, load):
    with pytest.raises(UserError, match=f"the same ids. b differs from a in its {what}"):
        load(fake_run("a"), fake_run("b", **other))


def test_a_run_that_has_nothing_to_say(load):
    with pytest.raises(UserError, match="a holds no language model"):
        load(fake_run("a", kind="skip_gram"))
