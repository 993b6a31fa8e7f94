"""A GPT that translates what stands before: the third column beside `translate_transformer` and `translate_lstm`.

    python -m trainers.train --config=translate_gpt --corpus=train.de,train.en
        --config.data.validation_corpus=val.de,val.en --config.data.test_corpus=flickr2016.de,flickr2016.en
        --run_dir=runs/translate_gpt

A text is `bos, source, line break, target, eos`, and the loss is on the target alone. About 8 million parameters.
"""

import dataclasses

from tflm.models.gpt import GPTConfig
from trainers.experiment import Experiment
from trainers.recipes import translate_transformer


def get_config() -> Experiment:
    beside = translate_transformer.get_config()
    return Experiment(
        model=GPTConfig(
            num_layers=8, num_heads=4, hidden_dim=256, max_sequence_length=136, dropout=0.3
        ),
        objective=beside.objective,
        tokenizer=beside.tokenizer,
        train=dataclasses.replace(
            beside.train,
            sequence_length=128,
            learning_rate=1e-3,
            warmup_steps=400,
            schedule="cosine",
            weight_decay=0.1,
        ),
    )
