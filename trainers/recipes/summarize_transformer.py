"""A Transformer that writes summaries or titles, 2.9 million parameters.

    python -m trainers.train --config=summarize_transformer --corpus=train.csv --config.data.source_column=dialogue
        --config.data.target_column=summary --config.data.test_corpus=test.csv --run_dir=runs/samsum
    python -m trainers.evaluate --run_dir=runs/samsum --split=test --average_checkpoints=5

Chinese, here titles of abstracts: `--corpus=csl_title.train.tsv --config.data.source_column=1
--config.data.target_column=0 --config.objective.metric_words=characters`. `evaluate` shows the first sentences of the
sources beside it, the baseline that must be beaten.
"""

import dataclasses

from trainers.experiment import Experiment
from trainers.recipes import translate_transformer


def get_config() -> Experiment:
    beside = translate_transformer.get_config()
    return dataclasses.replace(
        beside,
        model=dataclasses.replace(beside.model, max_source_length=512),
        objective=dataclasses.replace(
            beside.objective, max_source_tokens=384, max_target_tokens=96, metric="rouge"
        ),
        train=dataclasses.replace(beside.train, sequence_length=128, eval_every=400),
    )
