"""Word vectors that know what words are spelt of: FastText's n-grams under skip-gram.

python -m trainers.train --config=fasttext --corpus=my_texts/ --run_dir=runs/fasttext
"""

from tflm.models.fasttext import FastTextConfig
from trainers.experiment import Experiment
from trainers.recipes import skip_gram


def get_config() -> Experiment:
    experiment = skip_gram.get_config()
    experiment.model = FastTextConfig(hidden_dim=100, window=5, buckets=200_000)
    return experiment
