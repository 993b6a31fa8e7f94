"""One file an objective: from the store to batches, the loss, and what validation measures.

An objective has

    batches(split, model, train_config)      -> a source with .batch(step): a dict of numpy arrays
    initial_carry(model, batch_size)         -> a dict of what one step hands to the next (empty for most)
    loss(model, batch, carry)                -> (sum of weighted losses, the new carry)
    evaluator(model, train_config, tokenizer)-> evaluate(split, max_tokens, progress) -> dict of numbers
    score_name                               -> which of these decides what is best; less is better
"""

import importlib

from tflm.errors import unknown_name

# kind -> (module, config dataclass, objective)
OBJECTIVES = {
    "causal": ("trainers.objectives.causal", "CausalConfig", "CausalObjective"),
    "skip_gram": ("trainers.objectives.skip_gram", "SkipGramConfig", "SkipGramObjective"),
}


def config_class(kind: str) -> type:
    if kind not in OBJECTIVES:
        raise unknown_name("objective", kind, OBJECTIVES)
    module, config_name, _ = OBJECTIVES[kind]
    return getattr(importlib.import_module(module), config_name)


def kind_of(config) -> str:
    for kind, (_, config_name, _) in OBJECTIVES.items():
        if type(config).__name__ == config_name:
            return kind
    raise unknown_name("objective config", type(config).__name__, OBJECTIVES)


def build(config):
    """The objective of a config."""
    module, _, name = OBJECTIVES[kind_of(config)]
    return getattr(importlib.import_module(module), name)(config)
