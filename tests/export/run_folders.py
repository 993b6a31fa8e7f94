"""A run folder that was never trained: a model of the zoo with well-spread weights and a tokenizer of the corpus."""

import dataclasses

from tests import zoo
from tests.tiny_experiments import tiny_experiment


def write_run_folder(path, name: str, corpus, tokenizer_config, model=None, objective=None):
    """Writes `path` and gives it back as tflm.run.Run.

    Args:
        model, objective: configs in place of the zoo's model `name` and of a language model's objective.
    """
    from tflm import models
    from tflm import run as runs
    from tflm.text import tokenizer as tokenizers
    from trainers import experiment as experiments

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
    model = models.build(config)
    zoo.spread(model)
    folder = runs.RunFolder(path)
    folder.create()
    folder.write_experiment(experiments.to_dict(experiment))
    tokenizer.save(folder.tokenizer_folder)
    folder.save(runs.Checkpoint(7, runs.named_arrays(model.variables), {}, {}), is_best=True)
    return runs.load(path)
