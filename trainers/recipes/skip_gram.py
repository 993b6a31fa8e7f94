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
            kind="word", vocabulary_size=10_000, min_count=3, normalization=("lowercase",)
        ),
        data=DataConfig(),
        train=TrainConfig(
            steps=3000,
            batch_size=1024,
            learning_rate=5e-3,
            schedule="linear",
            final_learning_rate=0.01,
            weight_decay=0.0,
            eval_every=1000,
        ),
    )
