"""GloVe (Pennington et al. 2014): a table of how often words stand near each other, and vectors that explain it.

python -m trainers.train --config=glove --corpus=my_texts/ --run_dir=runs/glove

The words of the training text are counted once and kept in the cache. A step learns `batch_size` times
`sequence_length` pairs of the table, each in both directions.

x_max is that of the authors' script for a text of 17 million words; for the billions of words of their paper it is
100, with which a text of some millions learns too little of its rarer pairs. On 14 million words of novels the run
takes about six minutes on two cores and ends at a Spearman of 0.27 on WS-353, 0.13 on SimLex-999 and 0.45 on MEN (with
x_max 100: 0.15, 0.10, 0.36).
"""

import dataclasses

from tflm.models.glove import GloVeConfig
from trainers.experiment import Experiment
from trainers.objectives.glove import LeastSquaresConfig
from trainers.recipes import skip_gram


def get_config() -> Experiment:
    experiment = skip_gram.get_config()
    experiment.model = GloVeConfig(hidden_dim=100, window=10)
    experiment.objective = LeastSquaresConfig(x_max=10.0)
    experiment.train = dataclasses.replace(
        experiment.train,
        epochs=15,
        batch_size=16,
        sequence_length=4096,
        optimizer="adagrad",
        learning_rate=0.05,
        schedule="constant",
    )
    return experiment
