"""The LSTM of pytorch/examples' word_language_model on word-level WikiText-2: two layers of 200, its output tied.

    python -m trainers.train --config=lstm_wikitext2 --run_dir=runs/lstm_wikitext2
    python -m trainers.evaluate --run_dir=runs/lstm_wikitext2 --split=test

Where there is no network, name the three files: --corpus=train.txt --config.data.validation_corpus=valid.txt
--config.data.test_corpus=test.txt.

Expected: test perplexity 110.3, 1.326 bits per byte, after 6 epochs, in bfloat16, in 56 minutes on two busy cores.
Published for the same model after 6 epochs: 110.44, and 117.61 where its output is not tied. There the learning rate is
divided by 4 when validation stalls; here it falls to 0 in a line.

The counting is the same: words between spaces, <unk> as it stands in the text, the end of every line one token, the
vocabulary of 33,278 and one stream of text. `perplexity_per_token` is the figure; it counts one token more, the end
of the text: 245,570 in the test split.

For many epochs there is the regularisation of AWD-LSTM (Merity et al. 2017): model.variational_dropout,
model.word_dropout, model.weight_dropout, objective.activation_regularization,
objective.temporal_activation_regularization, train.average_after.
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
