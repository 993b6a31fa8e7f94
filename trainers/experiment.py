"""An experiment: what a recipe returns, what flags override, what the run folder stores."""

import dataclasses

from tflm import config as configs
from tflm import models
from tflm.data.corpora import DataConfig
from tflm.errors import UserError
from tflm.text.tokenizer import TokenizerConfig
from trainers import compilation, layer_rates, objectives

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass
class TrainConfig:
    """How to train.

    Attributes:
        steps: updates of the weights.
        epochs: passes over the training text; what is given here decides `steps`. 0: `steps` decides.
        batch_size: sequences in one update, over all micro-batches.
        accumulation: micro-batches in one update; must divide batch_size. Raised by itself where one does not fit into
            the memory.
        sequence_length: tokens the model reads in one sequence.
        init_from: what the model begins with: a run folder of its family, or of that of the encoder that it stands on;
            or word vectors for the embedding, a run folder or a file of a format of tflm.vectors.
        frozen: what of the encoder is held as it is: "", "embeddings" or "encoder"; for a model that stands on one.
        layer_decay: the learning rate of a layer of the encoder, as a share of that of the layer above it.
        unfreeze_every: steps after which the next lower layer of the encoder joins in; 0 for all from the beginning.
        optimizer: one of trainers.optimizers.OPTIMIZERS.
        schedule: one of trainers.schedules.SCHEDULES, after `warmup_steps` of linear warm-up.
        final_learning_rate: where the schedule ends, as a fraction of learning_rate.
        weight_decay: decoupled, on matrices only.
        clip_norm: largest global norm of the gradient; 0 for no clipping.
        ema: decay of a moving average of the weights, which is then what is evaluated and kept; 0 for none.
        average_after: take the mean of the weights of all steps instead, from where a validation is worse than the best
            of those more than that many validations before it (NT-ASGD, Merity et al. 2017, whose n this is; with
            optimizer=sgd); 0 for never.
        precision: auto is on a GPU bfloat16 where the card has it, else float16; on a CPU float32, or bfloat16 where
            that is measured to be much faster.
        jit_compile: whether XLA compiles the step: "on", "off", or "auto" for what is measured to be faster.
        eval_every: steps between validations, each with a checkpoint.
        eval_tokens: validate on that many tokens at most during training; 0 for all.
        early_stopping: stop after that many validations without a better one; 0 for never.
        keep_checkpoints: how many of the newest stay, beside the best.
        log_every: steps between lines of metrics.jsonl.
        sample_prompts, sample_tokens: text drawn at every validation; 0 tokens for none.
    """

    steps: int = 1000
    epochs: float = 0.0
    batch_size: int = 32
    accumulation: int = 1
    sequence_length: int = 128
    seed: int = 0
    init_from: str | None = None
    frozen: str = ""
    layer_decay: float = 1.0
    unfreeze_every: int = 0
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    schedule: str = "cosine"
    final_learning_rate: float = 0.1
    weight_decay: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.95
    clip_norm: float = 1.0
    ema: float = 0.0
    average_after: int = 0
    precision: str = "auto"
    jit_compile: str = "auto"
    eval_every: int = 250
    eval_tokens: int = 0
    early_stopping: int = 0
    keep_checkpoints: int = 2
    log_every: int = 10
    sample_prompts: tuple[str, ...] = ("The",)
    sample_tokens: int = 40

    def check(self) -> None:
        """Raises UserError for values that cannot be. Called after the flags have been read."""
        at_least_one = ("steps", "batch_size", "accumulation", "sequence_length", "eval_every")
        at_least_one += ("log_every", "keep_checkpoints")
        not_negative = (
            "epochs",
            "warmup_steps",
            "final_learning_rate",
            "weight_decay",
            "clip_norm",
        )
        not_negative += (
            "layer_decay",
            "unfreeze_every",
            "eval_tokens",
            "early_stopping",
            "sample_tokens",
            "average_after",
        )
        configs.check_ranges(
            self,
            "train.",
            **{name: (1, None) for name in at_least_one},
            **{name: (0, None) for name in not_negative},
            **{name: (0, 1) for name in ("beta_1", "beta_2", "ema")},
            seed=(0, 2**31),
        )
        if self.batch_size % self.accumulation:
            raise UserError(
                "`train.accumulation` must divide `train.batch_size`. "
                f"Received: accumulation={self.accumulation}, batch_size={self.batch_size}."
            )
        if self.ema and self.average_after:
            raise UserError(
                "`train.ema` and `train.average_after` are two averages of the same weights; set one of them to 0. "
                f"Received: ema={self.ema}, average_after={self.average_after}."
            )
        if not self.learning_rate > 0:
            raise UserError(
                f"`train.learning_rate` must be positive. Received: {self.learning_rate}."
            )
        configs.check_choices(self, "train.", precision=PRECISIONS)
        compilation.check(self.jit_compile)


@dataclasses.dataclass
class Experiment:
    """Everything that decides a run. `model` and `objective` are the config of some family and some objective."""

    model: object
    objective: object
    tokenizer: TokenizerConfig = dataclasses.field(default_factory=TokenizerConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)


def check(experiment: Experiment) -> None:
    """Raises UserError for an experiment that cannot be run. Flags set fields one by one, so this comes last."""
    type(experiment.model)(**vars(experiment.model))
    type(experiment.objective)(**vars(experiment.objective))
    experiment.train.check()
    from trainers.optimizers import OPTIMIZERS
    from trainers.schedules import SCHEDULES

    layer_rates.check(experiment)
    configs.check_choices(experiment.train, "train.", optimizer=OPTIMIZERS, schedule=SCHEDULES)
    if hasattr(experiment.objective, "complete"):
        experiment.objective.complete(experiment.model, experiment.train)
    objectives.check_fits(
        experiment.objective, models.family_of(experiment.model), experiment.train
    )
    limit = getattr(experiment.model, "max_sequence_length", None)
    if hasattr(experiment.model, "max_source_length"):
        limit = None  # of the target; the objective has checked both sides
    if limit is not None and experiment.train.sequence_length > limit:
        raise UserError(
            "`train.sequence_length` must be at most `model.max_sequence_length`. Received: "
            f"sequence_length={experiment.train.sequence_length}, max_sequence_length={limit}."
        )


def to_dict(experiment: Experiment) -> dict:
    """As plain values; `family` and `kind` say which config `model` and `objective` are."""
    values = configs.to_dict(experiment)
    values["model"] = models.to_dict(experiment.model)
    values["objective"] = {"kind": objectives.kind_of(experiment.objective), **values["objective"]}
    return values


def from_dict(values: dict) -> Experiment:
    """What `to_dict` gave, back."""
    values = dict(values)
    model, objective = values.pop("model"), dict(values.pop("objective"))
    objective_config = objectives.config_class(objective.pop("kind"))
    return Experiment(
        model=models.from_dict(model),
        objective=configs.from_dict(objective_config, objective, "objective"),
        tokenizer=configs.from_dict(TokenizerConfig, values.get("tokenizer", {}), "tokenizer"),
        data=configs.from_dict(DataConfig, values.get("data", {}), "data"),
        train=configs.from_dict(TrainConfig, values.get("train", {}), "train"),
    )
