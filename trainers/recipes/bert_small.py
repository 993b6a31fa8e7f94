"""A small BERT, pre-trained to find masked words, about 5 million parameters beside its table of pieces.

    python -m trainers.train --config=bert_small --corpus=my_texts/ --run_dir=runs/bert
    python -m trainers.train --config=classify --config.train.init_from=runs/bert --corpus=train.tsv
        --config.data.validation_corpus=dev.tsv --config.data.test_corpus=test.tsv --run_dir=runs/labels

Chinese: --config.objective.words=jieba hides whole words (extra zh); every character is a piece.
"""

from tflm.models.bert import BERTConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.masked import MaskedConfig


def get_config() -> Experiment:
    return Experiment(
        model=BERTConfig(num_layers=6, num_heads=4, hidden_dim=256, max_sequence_length=128),
        objective=MaskedConfig(),
        tokenizer=TokenizerConfig(kind="wordpiece", vocabulary_size=8000),
        train=TrainConfig(
            steps=10_000,
            batch_size=32,
            sequence_length=128,
            learning_rate=1e-3,
            warmup_steps=500,
            schedule="linear",
            final_learning_rate=0.0,
            weight_decay=0.01,
            beta_2=0.98,
            eval_every=500,
            eval_tokens=100_000,
        ),
    )
