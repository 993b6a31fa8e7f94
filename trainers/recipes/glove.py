"""GloVe (Pennington et al. 2014): a table of how often words stand near each other, and vectors that explain it.

python -m trainers.train --config=glove --corpus=my_texts/ --run_dir=runs/glove

The words of the training text are counted once and kept in the cache. A step learns `batch_size` times
`sequence_length` pairs of the table, each in both directions.

x_max is that of the authors' script for a text of 17 million words; for the billions of words of their paper it is
100, with which a text of some millions learns too little of its rarer pairs. On 14 million words of novels the run
takes about six minutes on two cores and ends at a Spearman of 0.27 on WS-353, 0.13 on SimLex-999 and 0.45 on MEN (with
x_max 100: 0.15, 0.10, 0.36).
"""

from tflm.data.corpora import DataConfig
from tflm.models.glove import GloVeConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.glove import LeastSquaresConfig


def get_config() -> Experiment:
    return Experiment(
        model=GloVeConfig(hidden_dim=100, window=10),
        objective=LeastSquaresConfig(x_max=10.0),
        tokenizer=TokenizerConfig(
            kind="word",
            vocabulary_size=1_000_000,
            min_count=5,
            normalization=("lowercase",),
            sample_bytes=0,
        ),
        data=DataConfig(),
        train=TrainConfig(
            epochs=15,
            batch_size=16,
            sequence_length=4096,
            optimizer="adagrad",
            learning_rate=0.05,
            schedule="constant",
            warmup_steps=0,
            weight_decay=0.0,
            clip_norm=0.0,
            eval_every=200,
        ),
    )
