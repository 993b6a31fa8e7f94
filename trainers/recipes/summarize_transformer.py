"""A Transformer that writes summaries or titles, about 9 million parameters.

    python -m trainers.train --config=summarize_transformer --corpus=train.csv --config.data.source_column=dialogue
        --config.data.target_column=summary --config.data.test_corpus=test.csv --run_dir=runs/samsum
    python -m trainers.evaluate --run_dir=runs/samsum --split=test --average_checkpoints=5

Chinese, here titles of abstracts: `--corpus=csl_title.train.tsv --config.data.source_column=1
--config.data.target_column=0 --config.objective.metric_words=characters`. `evaluate` shows the first sentences of the
sources beside it, the baseline that must be beaten.
"""

from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.seq2seq import Seq2SeqConfig
from trainers.recipes import translate_transformer


def get_config() -> Experiment:
    beside = translate_transformer.get_config()
    beside.model.max_source_length = 512
    return Experiment(
        model=beside.model,
        objective=Seq2SeqConfig(
            label_smoothing=0.1, max_source_tokens=384, max_target_tokens=96, metric="rouge"
        ),
        tokenizer=beside.tokenizer,
        train=TrainConfig(
            steps=4000,
            batch_size=32,
            sequence_length=128,
            learning_rate=1e-3,
            warmup_steps=800,
            schedule="inverse_sqrt",
            weight_decay=1e-4,
            beta_2=0.98,
            eval_every=400,
            keep_checkpoints=5,
        ),
    )
