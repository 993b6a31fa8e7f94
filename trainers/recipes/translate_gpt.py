"""A GPT that translates what stands before: the third column beside `translate_transformer` and `translate_lstm`.

    python -m trainers.train --config=translate_gpt --corpus=train.de,train.en
        --config.data.validation_corpus=val.de,val.en --config.data.test_corpus=flickr2016.de,flickr2016.en
        --run_dir=runs/translate_gpt

A text is `bos, source, line break, target, eos`, and the loss is on the target alone. About 8 million parameters.
"""

from tflm.models.gpt import GPTConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.recipes import translate_transformer


def get_config() -> Experiment:
    beside = translate_transformer.get_config()
    return Experiment(
        model=GPTConfig(
            num_layers=8, num_heads=4, hidden_dim=256, max_sequence_length=136, dropout=0.3
        ),
        objective=beside.objective,
        tokenizer=beside.tokenizer,
        train=TrainConfig(
            steps=beside.train.steps,
            batch_size=64,
            sequence_length=128,
            learning_rate=1e-3,
            warmup_steps=400,
            schedule="cosine",
            weight_decay=0.1,
            beta_2=0.98,
            eval_every=beside.train.eval_every,
            keep_checkpoints=beside.train.keep_checkpoints,
        ),
    )
