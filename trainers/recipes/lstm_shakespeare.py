"""An LSTM of as many parameters as `gpt_shakespeare`, on the same characters, beside it.

    python -m trainers.train --config=lstm_shakespeare --run_dir=runs/lstm_shakespeare \\
        --corpus=train.txt --config.data.validation_corpus=val.txt

Expected: validation loss 1.73 nats per character after 2,000 steps, a minute on two cores.
"""

import dataclasses

from tflm.models.rnn import RNNConfig
from trainers.experiment import Experiment
from trainers.recipes import gpt_shakespeare


def get_config() -> Experiment:
    beside = gpt_shakespeare.get_config()
    return dataclasses.replace(
        beside,
        model=RNNConfig(cell="lstm", num_layers=2, hidden_dim=224),
        train=dataclasses.replace(beside.train, learning_rate=4e-3, weight_decay=0.01),
    )
