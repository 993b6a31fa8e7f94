"""Labels of words, such as named entities: a pre-trained encoder is fine-tuned, or one is trained from nothing.

    python -m trainers.train --config=tag --config.train.init_from=runs/bert --corpus=train.conll
        --config.data.validation_corpus=dev.conll --config.data.test_corpus=test.conll --run_dir=runs/entities
    python -m trainers.evaluate --run_dir=runs/entities --split=test
    python -m trainers.tag --run_dir=runs/entities --input_file=sentences.txt

init_from takes a run of bert, rnn or gpt: the encoder is then that run's, and so is the tokenizer. Without it the
encoder below begins with random weights. A file has a word and its tag a line, see tflm/data/tagged.py.

WNUT-17 (3,394 sentences) and Weibo NER (1,350; a character is a word) have by themselves few words to learn from: begin
with an encoder of other text of their language, where possible, and let a CRF hold the tags together
(--config.model.decoder=crf). Sentences of more than train.sequence_length tokens are read in windows.
"""

from tflm.models.bert import BERTConfig
from tflm.models.tagger import TaggerConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.tag import TagConfig


def get_config() -> Experiment:
    return Experiment(
        model=TaggerConfig(
            encoder=BERTConfig(num_layers=4, num_heads=4, hidden_dim=256, max_sequence_length=128)
        ),
        objective=TagConfig(),
        tokenizer=TokenizerConfig(kind="wordpiece", vocabulary_size=8000),
        train=TrainConfig(
            epochs=20,
            batch_size=32,
            sequence_length=128,
            learning_rate=2e-4,
            warmup_steps=100,
            schedule="linear",
            final_learning_rate=0.0,
            weight_decay=0.01,
            beta_2=0.98,
            eval_every=100,
        ),
    )
