"""fastText's classifier, the fastest baseline: seconds on a processor for tens of thousands of texts.

python -m trainers.train --config=fasttext_classifier --corpus=train.tsv --config.data.validation_corpus=dev.tsv \\
    --config.data.test_corpus=test.tsv --run_dir=runs/fasttext_classifier

A file has one text and one label a line, see tflm/data/labelled.py. For Chinese, take characters for words
(--config.tokenizer.kind=character) or jieba's words (--config.tokenizer.split=jieba).
"""

from tflm.data.corpora import DataConfig
from tflm.models.fasttext_classifier import FastTextClassifierConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.classify_bag import ClassifyBagConfig


def get_config() -> Experiment:
    return Experiment(
        model=FastTextClassifierConfig(hidden_dim=100, word_ngrams=2),
        objective=ClassifyBagConfig(),
        tokenizer=TokenizerConfig(kind="word", vocabulary_size=500_000),
        data=DataConfig(),
        train=TrainConfig(
            epochs=5,
            batch_size=1024,
            optimizer="sgd",
            learning_rate=0.5,
            schedule="linear",
            warmup_steps=0,
            final_learning_rate=0.0,
            weight_decay=0.0,
            clip_norm=0.0,
            eval_every=500,
        ),
    )
