"""An LSTM with attention that translates: the baseline beside `translate_transformer`, on the same batches.

python -m trainers.train --config=translate_lstm --corpus=train.de,train.en
    --config.data.validation_corpus=val.de,val.en --config.data.test_corpus=flickr2016.de,flickr2016.en
    --run_dir=runs/translate_lstm

Expected on Multi30k, German to English: BLEU 39.0, chrF 58.3 on test 2016 (a beam of 5), after 32 minutes on one busy
core. Published for a GRU with attention: 28.3.
"""

import dataclasses

from tflm.models.seq2seq_lstm import Seq2SeqLSTMConfig
from trainers.experiment import Experiment
from trainers.recipes import translate_transformer


def get_config() -> Experiment:
    beside = translate_transformer.get_config()
    return Experiment(
        model=Seq2SeqLSTMConfig(
            num_layers=1,
            hidden_dim=256,
            dropout=0.3,
            max_source_length=128,
            max_sequence_length=128,
        ),
        objective=beside.objective,
        tokenizer=beside.tokenizer,
        train=dataclasses.replace(beside.train, steps=3500, warmup_steps=100, schedule="cosine"),
    )
