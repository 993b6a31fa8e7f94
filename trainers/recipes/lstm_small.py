"""A small LSTM, the baseline beside `gpt_small`: the same text, tokens and training time.

python -m trainers.train --config=lstm_small --corpus=my_texts/ --run_dir=runs/lstm
"""

from tflm.data.corpora import DataConfig
from tflm.models.rnn import RNNConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig


def get_config() -> Experiment:
    return Experiment(
        model=RNNConfig(cell="lstm", num_layers=1, hidden_dim=256),
        objective=CausalConfig(),
        tokenizer=TokenizerConfig(kind="sentencepiece", vocabulary_size=2000),
        data=DataConfig(),
        train=TrainConfig(
            steps=1600,
            batch_size=32,
            sequence_length=32,
            learning_rate=4e-3,
            warmup_steps=100,
            weight_decay=0.01,
            eval_every=400,
        ),
    )
