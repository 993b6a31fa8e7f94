"""Word vectors by skip-gram with negative sampling.

python -m trainers.train --config=skip_gram --corpus=my_texts/ --run_dir=runs/skip_gram
"""

from tflm.data.corpora import DataConfig
from tflm.models.word2vec import Word2VecConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.skip_gram import SkipGramConfig


def get_config() -> Experiment:
    return Experiment(
        model=Word2VecConfig(hidden_dim=100, window=5),
        objective=SkipGramConfig(negatives=5),
        tokenizer=TokenizerConfig(
            kind="word",
            vocabulary_size=1_000_000,
            min_count=5,
            normalization=("lowercase",),
            sample_bytes=0,
        ),
        data=DataConfig(),
        train=TrainConfig(
            epochs=5,
            batch_size=64,
            sequence_length=1024,
            optimizer="sgd",
            learning_rate=0.025,
            schedule="linear",
            warmup_steps=0,
            final_learning_rate=0.004,
            weight_decay=0.0,
            clip_norm=0.0,
            eval_every=200,
        ),
    )
