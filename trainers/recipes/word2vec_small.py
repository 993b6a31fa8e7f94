"""A causal bag of words over Word2Vec's tables, the simplest baseline beside `gpt_small`.

python -m trainers.train --config=word2vec_small --corpus=my_texts/ --run_dir=runs/word2vec
"""

from tflm.data.corpora import DataConfig
from tflm.models.word2vec import Word2VecConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig


def get_config() -> Experiment:
    return Experiment(
        model=Word2VecConfig(hidden_dim=256, window=5),
        objective=CausalConfig(),
        tokenizer=TokenizerConfig(kind="sentencepiece", vocabulary_size=2000),
        data=DataConfig(),
        train=TrainConfig(
            steps=1600,
            batch_size=16,
            sequence_length=128,
            learning_rate=3e-3,
            warmup_steps=100,
            weight_decay=0.01,
            eval_every=400,
        ),
    )
