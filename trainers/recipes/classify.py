"""Labels of texts: a pre-trained encoder is fine-tuned, or one is trained from nothing.

    python -m trainers.train --config=classify --config.train.init_from=runs/bert --corpus=train.tsv
        --config.data.validation_corpus=dev.tsv --config.data.test_corpus=test.tsv --run_dir=runs/labels
    python -m trainers.evaluate --run_dir=runs/labels --split=test
    python -m trainers.classify --run_dir=runs/labels --input_file=texts.txt

init_from takes a run of bert, rnn or gpt: the encoder is then that run's, and so is the tokenizer. Without it the
encoder below begins with random weights. A file has one text and one label a line, see tflm/data/labelled.py.
"""

from tflm.models.bert import BERTConfig
from tflm.models.classifier import ClassifierConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.classify import ClassifyConfig


def get_config() -> Experiment:
    return Experiment(
        model=ClassifierConfig(
            encoder=BERTConfig(num_layers=4, num_heads=4, hidden_dim=256, max_sequence_length=128)
        ),
        objective=ClassifyConfig(),
        tokenizer=TokenizerConfig(kind="wordpiece", vocabulary_size=8000),
        train=TrainConfig(
            epochs=4,
            batch_size=32,
            sequence_length=128,
            learning_rate=2e-4,
            warmup_steps=100,
            schedule="linear",
            final_learning_rate=0.0,
            weight_decay=0.01,
            beta_2=0.98,
            eval_every=200,
        ),
    )
