"""A small GPT for a few megabytes of text, on a laptop's processor.

python -m trainers.train --config=gpt_small --corpus=my_texts/ --run_dir=runs/gpt
"""

from tflm.data.corpora import DataConfig
from tflm.models.gpt import GPTConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig


def get_config() -> Experiment:
    return Experiment(
        model=GPTConfig(num_layers=4, num_heads=4, hidden_dim=128, max_sequence_length=128),
        objective=CausalConfig(),
        tokenizer=TokenizerConfig(kind="sentencepiece", vocabulary_size=2000),
        data=DataConfig(),
        train=TrainConfig(
            steps=1600,
            batch_size=8,
            sequence_length=128,
            learning_rate=4e-3,
            warmup_steps=100,
            weight_decay=0.1,
            eval_every=400,
        ),
    )
