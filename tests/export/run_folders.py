"""A run folder that was never trained: a model of the zoo with well-spread weights and a tokenizer of the corpus."""

import dataclasses

from tests import zoo
from tests.tiny_experiments import tiny_experiment
from tests.tiny_pairs import pair_experiment, pairs
from tflm import models
from tflm import run as runs
from tflm.text import tokenizer as tokenizers
from trainers import experiment as experiments


def write_run_folder(path, name: str, corpus, tokenizer_config, model=None, objective=None):
    """Writes `path` and gives it back as tflm.run.Run.

    Args:
        model, objective: configs in place of the zoo's model `name` and of a language model's objective.
    """
    tokenizer = tokenizers.train(tokenizer_config, [corpus.read_text(encoding="utf-8")])
    config = model or zoo.ZOO[name]
    config = dataclasses.replace(config, vocabulary_size=tokenizer.vocabulary_size)
    experiment = tiny_experiment(name, corpus)
    experiment = dataclasses.replace(
        experiment,
        model=config,
        tokenizer=tokenizer_config,
        objective=objective or experiment.objective,
    )
    return _written(path, experiment, tokenizer)


def write_translation_folder(path, name: str, corpus_folder, tokenizer_config, source_config=None):
    """The same of a model that writes a target for a source; the pairs are written into `corpus_folder`.

    Args:
        source_config: of the source's tokenizer; None where both sides share one.
    """
    experiment = pair_experiment(name, corpus_folder, {"source_tokenizer": source_config})
    sources, targets = zip(*pairs(60), strict=True)
    texts = [*targets] if source_config else [*sources, *targets]
    tokenizer, source_tokenizer = tokenizers.train(tokenizer_config, texts), None
    sizes = {"vocabulary_size": tokenizer.vocabulary_size}
    if source_config:
        source_tokenizer = tokenizers.train(source_config, sources)
        sizes["source_vocabulary_size"] = source_tokenizer.vocabulary_size
    config = dataclasses.replace(experiment.model, **sizes)
    experiment = dataclasses.replace(experiment, model=config, tokenizer=tokenizer_config)
    return _written(path, experiment, tokenizer, source_tokenizer)


def _written(path, experiment, tokenizer, source_tokenizer=None):
    model = models.build(experiment.model)
    zoo.spread(model)
    folder = runs.RunFolder(path)
    folder.create()
    folder.write_experiment(experiments.to_dict(experiment))
    tokenizer.save(folder.tokenizer_folder)
    if source_tokenizer is not None:
        source_tokenizer.save(folder.source_tokenizer_folder)
    folder.save(runs.Checkpoint(7, runs.named_arrays(model.variables), {}, {}), is_best=True)
    return runs.load(path)
