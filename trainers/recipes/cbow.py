"""Word vectors by CBOW with negative sampling: faster than skip-gram, and less good for rare words.

python -m trainers.train --config=cbow --corpus=my_texts/ --run_dir=runs/cbow
"""

from trainers.experiment import Experiment
from trainers.objectives.cbow import CBOWConfig
from trainers.recipes import skip_gram


def get_config() -> Experiment:
    experiment = skip_gram.get_config()
    experiment.objective = CBOWConfig(negatives=5)
    return experiment
