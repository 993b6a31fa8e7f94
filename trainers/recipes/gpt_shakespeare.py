"""nanoGPT's small character model of Tiny Shakespeare, for a comparison with its published figure.

    python -m trainers.train --config=gpt_shakespeare --run_dir=runs/shakespeare \\
        --corpus=train.txt --config.data.validation_corpus=val.txt

train.txt and val.txt are the first 90 % and the last 10 % of the text, as nanoGPT's prepare.py cuts it.
Expected: validation loss 1.78 nats per character after 2,000 steps (nanoGPT publishes 1.88; with its learning rate of
1e-3 this recipe ends at 1.887).
"""

from tflm.data.corpora import DataConfig
from tflm.models.gpt import GPTConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig


def get_config() -> Experiment:
    return Experiment(
        model=GPTConfig(
            num_layers=4,
            num_heads=4,
            hidden_dim=128,
            max_sequence_length=64,
            positions="learned",
            normalization="layer_norm",
            activation="gelu",
        ),
        objective=CausalConfig(),
        tokenizer=TokenizerConfig(kind="character"),
        data=DataConfig(corpus="shakespeare", documents="file", test_fraction=0.0),
        train=TrainConfig(
            steps=2000,
            batch_size=12,
            sequence_length=64,
            learning_rate=2e-3,
            warmup_steps=100,
            weight_decay=0.1,
            beta_2=0.99,
            eval_every=500,
            sample_prompts=("ROMEO:",),
            sample_tokens=200,
        ),
    )
