"""An LSTM with AWD-LSTM's regularisation on word-level WikiText-2.

    python -m trainers.train --config=lstm_wikitext2 --run_dir=runs/lstm_wikitext2
    python -m trainers.evaluate --run_dir=runs/lstm_wikitext2 --split=test

Where there is no network, name the three files: --corpus=train.txt --config.data.validation_corpus=valid.txt
--config.data.test_corpus=test.txt.

The counting is that of pytorch/examples' word_language_model (test perplexity 117.61 after 6 epochs): words between
spaces, <unk> as it stands in the text, the end of every line one token, the vocabulary of 33,278 and one stream of
text. `perplexity_per_token` is the figure; it counts one token more, the end of the text: 245,570 in the test split.

4 passes over the text are few: the rates of dropout are half of Merity et al.'s (2017), who trained for 750, and Adam
with a rate that falls to 0 takes the place of their averaged SGD (optimizer=sgd, learning_rate=30,
schedule=constant, clip_norm=0.25, average_after=5).

The recipe has not been run to its end yet, so there is no expected figure: after 2,000 steps the validation perplexity
was 205 (on 40,000 tokens).
"""

from tflm.data.corpora import DataConfig
from tflm.models.rnn import RNNConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig


def get_config() -> Experiment:
    return Experiment(
        model=RNNConfig(cell="lstm", num_layers=2, hidden_dim=200, dropout=0.2),
        objective=CausalConfig(),
        tokenizer=TokenizerConfig(
            kind="word", split="whitespace", vocabulary_size=40_000, sample_bytes=0
        ),
        data=DataConfig(corpus="wikitext2", documents="file"),
        train=TrainConfig(
            epochs=6.0,
            batch_size=20,
            sequence_length=35,
            optimizer="sgd",
            learning_rate=20.0,
            warmup_steps=0,
            schedule="linear",
            final_learning_rate=0.0,
            weight_decay=0.0,
            clip_norm=0.25,
            eval_every=1500,
            eval_tokens=40_000,
            sample_prompts=("The history of",),
        ),
    )
