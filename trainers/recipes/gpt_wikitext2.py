"""A GPT of about as many parameters as `lstm_wikitext2`, on the same words, for as many epochs.

    python -m trainers.train --config=gpt_wikitext2 --run_dir=runs/gpt_wikitext2
    python -m trainers.evaluate --run_dir=runs/gpt_wikitext2 --split=test

7.3 million parameters, of which the table of words has 6.4. How words are counted is said in `lstm_wikitext2`.

Expected: test perplexity 124.4, 1.360 bits per byte, after --config.train.epochs=4, in bfloat16, in 71 minutes on one
busy core. The LSTM beside it has 110.3 and 1.326 after 6 epochs.
"""

from tflm.models.gpt import GPTConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig
from trainers.recipes import lstm_wikitext2


def get_config() -> Experiment:
    beside = lstm_wikitext2.get_config()
    return Experiment(
        model=GPTConfig(
            num_layers=2, num_heads=4, hidden_dim=192, max_sequence_length=128, dropout=0.2
        ),
        objective=CausalConfig(),
        tokenizer=beside.tokenizer,
        data=beside.data,
        train=TrainConfig(
            epochs=beside.train.epochs,
            batch_size=11,
            sequence_length=128,
            learning_rate=2e-3,
            warmup_steps=300,
            weight_decay=0.1,
            beta_2=0.99,
            eval_every=beside.train.eval_every,
            eval_tokens=beside.train.eval_tokens,
            sample_prompts=beside.train.sample_prompts,
        ),
    )
