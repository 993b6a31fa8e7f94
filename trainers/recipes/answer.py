"""Answers to questions that stand in a text (SQuAD, CMRC 2018): a pre-trained encoder is fine-tuned.

    python -m trainers.train --config=bert_small --corpus=my_texts/ --run_dir=runs/bert
        --config.model.max_sequence_length=384 --config.train.sequence_length=384 --config.train.batch_size=16
    python -m trainers.train --config=answer --config.train.init_from=runs/bert --corpus=train-v1.1.json
        --config.data.validation_corpus=dev-v1.1.json --config.data.test_fraction=0 --run_dir=runs/answers
    python -m trainers.evaluate --run_dir=runs/answers --split=validation
    python -m trainers.answer --run_dir=runs/answers --input_file=dev-v1.1.json --output=predictions.json

SQuAD 2.0: --config.objective.no_answer=True --config.objective.metric=squad_v2. CMRC 2018:
--config.objective.metric=cmrc --config.objective.max_answer_tokens=60.

init_from takes a run of bert, rnn or gpt, or a folder of transformers: the encoder is then that one, and so is the
tokenizer. An encoder with learned positions must have been pre-trained for windows as long as train.sequence_length.
Without init_from the encoder below begins with random weights, which learns little from questions alone.
"""

from tflm.models.bert import BERTConfig
from tflm.models.span_reader import SpanReaderConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.span import SpanConfig


def get_config() -> Experiment:
    return Experiment(
        model=SpanReaderConfig(
            encoder=BERTConfig(num_layers=6, num_heads=4, hidden_dim=256, max_sequence_length=384)
        ),
        objective=SpanConfig(),
        tokenizer=TokenizerConfig(kind="wordpiece", vocabulary_size=8000),
        train=TrainConfig(
            epochs=2,
            batch_size=32,
            sequence_length=384,
            learning_rate=2e-4,
            warmup_steps=300,
            schedule="linear",
            final_learning_rate=0.0,
            weight_decay=0.01,
            beta_2=0.98,
            eval_every=500,
            sample_tokens=0,
        ),
    )
