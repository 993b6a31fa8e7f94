"""One file an objective: from the store to batches, the loss, and what validation measures.

An objective has

    batches(split, model, train_config)      -> a source with .batch(step): a dict of numpy arrays of fixed shapes,
                                                .steps_per_epoch and .tokens_per_step; where a batch has one of several
                                                shapes, each of which is compiled, also .shapes
    evaluator(model, train_config, tokenizer)-> evaluate(split, max_tokens, progress) -> dict of numbers
    score_name                               -> which of these decides what is best; less is better
    families                                 -> the families of models that it trains

where it learns from more than the text, also

    training_texts(data, sample_bytes, seed, progress) -> the texts for the tokenizer
    open_store(data, tokenizer, progress)    -> its own kind of store
    fill_in(model_config, store)             -> None; completes both configs by what the store knows: the labels
    read_tokenizers(tokenizer, source_tokenizer) -> None; before all else, where it learns from pairs of texts

its config also, where some of it follows from the rest,

    complete(model_config, train_config)     -> None; raises UserError

where not every setting goes with every family, also

    check_family(family)                     -> None; raises UserError

and either a loss, which is differentiated and left to the optimizer:

    initial_carry(model, batch_size)         -> a dict of what one step hands to the next (empty for most)
    loss(model, batch, carry)                -> (sum of weighted losses, the new carry)

or an update, for models with large tables of which a step touches few rows:

    optimizer                                -> the name of the train.optimizer whose arithmetic it does
    slots(model)                             -> a dict of zeros that it keeps beside the tables (AdaGrad's sums), or {}
    update(tables, slots, batch, rate)       -> (loss, tables, slots): a pure function of the values of model.tables()
"""

import importlib

from tflm.errors import UserError, unknown_name

# kind -> (module, config dataclass, objective)
OBJECTIVES = {
    "causal": ("trainers.objectives.causal", "CausalConfig", "CausalObjective"),
    "masked": ("trainers.objectives.masked", "MaskedConfig", "MaskedObjective"),
    "contrastive": (
        "trainers.objectives.contrastive",
        "ContrastiveConfig",
        "ContrastiveObjective",
    ),
    "skip_gram": ("trainers.objectives.skip_gram", "SkipGramConfig", "SkipGramObjective"),
    "cbow": ("trainers.objectives.cbow", "CBOWConfig", "CBOWObjective"),
    "glove": ("trainers.objectives.glove", "LeastSquaresConfig", "LeastSquaresObjective"),
    "seq2seq": ("trainers.objectives.seq2seq", "Seq2SeqConfig", "Seq2SeqObjective"),
    "classify": ("trainers.objectives.classify", "ClassifyConfig", "ClassifyObjective"),
    "span": ("trainers.objectives.span", "SpanConfig", "SpanObjective"),
    "tag": ("trainers.objectives.tag", "TagConfig", "TagObjective"),
    "classify_bag": (
        "trainers.objectives.classify_bag",
        "ClassifyBagConfig",
        "ClassifyBagObjective",
    ),
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


# What an objective that updates rows does without: field of TrainConfig -> the value that says so.
WITHOUT = {"accumulation": 1, "clip_norm": 0, "ema": 0, "average_after": 0, "weight_decay": 0}


def check_fits(config, family: str, train) -> None:
    """Raises UserError where an objective cannot train the family, or not in the way that `train` asks for.

    Args:
        config: of the objective.
        family: of the model.
        train: a TrainConfig.
    """
    kind = kind_of(config)
    objective = build(config)
    if family not in objective.families:
        known = ", ".join(objective.families)
        raise UserError(f"The objective {kind} trains {known}. Received a model of {family}.")
    if hasattr(objective, "check_family"):
        objective.check_family(family)
    if not hasattr(objective, "update"):
        return
    wanted = WITHOUT | {"optimizer": objective.optimizer}
    for field, value in wanted.items():
        if getattr(train, field) != value:
            raise UserError(
                f"The objective {kind} updates single rows, with train.{field}={value!r}. "
                f"Received: {getattr(train, field)!r}."
            )
    if train.precision not in ("auto", "float32"):
        raise UserError(
            f"The objective {kind} computes in float32. Received: train.precision={train.precision!r}."
        )


def check_special_ids(config, family: str, tokenizer) -> None:
    """Raises UserError where a model's tables of words take other ids for special than the tokenizer does.

    Args:
        config: of the objective.
        family: of the model.
        tokenizer: one with a published vocabulary has its special pieces anywhere.
    """
    has_words = hasattr(build(config), "update") or family == "word2vec"
    if has_words and tokenizer.special_ids[:4] != (0, 1, 2, 3):
        ids = ", ".join(map(str, tokenizer.special_ids))
        raise UserError(
            f"A model of {family} has its special tokens at the ids 0 to 3. Received: a tokenizer with {ids}. "
            "Leave out --config.tokenizer.load_from to train one."
        )
