"""What a search may change, as the user writes it: a field of the recipe and its domain.

train.learning_rate=log:1e-4..1e-2     any number in the range; log: every factor is as likely as any other
model.dropout=0..0.5                   every difference is
model.num_layers=1..4                  whole numbers where the field holds them, both ends among them
model.hidden_dim=64..256:64            in steps: 64, 128, 192, 256; with log:64..256:2 times 2: 64, 128, 256
train.schedule=cosine,linear           one of these
"""

import copy
import dataclasses
import math
import types
import typing

from tflm.errors import UserError

FORMS = "LOW..HIGH, log:LOW..HIGH, either with :STEP, or A,B,C"
# Trials are compared by what they score on one text.
NOT_SEARCHED = ("data",)


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One field and its domain.

    Attributes:
        field: with its room, as in train.learning_rate.
        text: the domain as it was written.
        kind: bool, int, float or str.
        low, high, step, is_log: of a range; the ends belong to it.
        choices: otherwise.
    """

    field: str
    text: str
    kind: type
    low: float | None = None
    high: float | None = None
    step: float | None = None
    is_log: bool = False
    choices: tuple = ()

    def add_to(self, hyperparameters) -> None:
        """Makes it known to a keras_tuner.HyperParameters."""
        if self.choices:
            hyperparameters.Choice(self.field, list(self.choices))
            return
        add = hyperparameters.Int if self.kind is int else hyperparameters.Float
        sampling = "log" if self.is_log else "linear"
        add(self.field, self.low, self.high, step=self.step, sampling=sampling)


def parse(texts: list[str], experiment) -> list[Dimension]:
    """The dimensions of a search.

    Args:
        texts: one `FIELD=DOMAIN` each.
        experiment: whose fields they are.

    Raises:
        UserError: for an unknown field, which lists the known ones, and for a domain that the field cannot have.
    """
    if not texts:
        raise UserError(
            "--search is missing. Give what to look for, for example "
            "--search=train.learning_rate=log:1e-4..1e-2."
        )
    dimensions = [_dimension(text, experiment) for text in texts]
    fields = [dimension.field for dimension in dimensions]
    for field in fields:
        if fields.count(field) > 1:
            raise UserError(f"--search={field} is given twice. Give each field once.")
    return dimensions


def _dimension(text: str, experiment) -> Dimension:
    field, equals, domain = (part.strip() for part in text.partition("="))
    if not equals or not domain:
        raise UserError(f"--search={text} must be FIELD=DOMAIN, the domain as {FORMS}.")
    kind = _kind(field, experiment)
    if ".." not in domain:
        return _choices(field, domain, kind)
    return _range(field, domain, kind)


def _kind(field: str, experiment) -> type:
    room, _, name = field.partition(".")
    rooms = [f.name for f in dataclasses.fields(experiment) if f.name not in NOT_SEARCHED]
    if room in NOT_SEARCHED:
        raise UserError(
            f"--search={field}: trials are compared on one text, so `{room}` must be the same for all. "
            f"Search in: {', '.join(rooms)}."
        )
    if room not in rooms:
        raise UserError(
            f"--search={field}: there is no {room!r}. Write a field with its room, one of: {', '.join(rooms)}."
        )
    hints = typing.get_type_hints(type(getattr(experiment, room)))
    if name not in hints:
        raise UserError(
            f"--search={field}: {room} has no field {name!r}. It has: {', '.join(hints)}."
        )
    kinds = [hints[name]]
    if typing.get_origin(hints[name]) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hints[name]) if kind is not type(None)]
    if kinds[0] not in (bool, int, float, str):
        raise UserError(f"--search={field}: a search tries numbers and names, and this is a list.")
    return kinds[0]


def _value(field: str, text: str, kind: type):
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.strip().lower()]
        value = kind(text.strip())
    except (ValueError, KeyError) as error:
        names = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UserError(
            f"--search={field} must be {names[kind]}. Received: {text.strip()!r}."
        ) from error
    if kind is float and not math.isfinite(value):
        raise UserError(f"--search={field} must be finite. Received: {text.strip()!r}.")
    return value


def _choices(field: str, domain: str, kind: type) -> Dimension:
    values = tuple(_value(field, text, kind) for text in domain.split(","))
    if len(set(values)) < 2 or len(set(values)) < len(values):
        raise UserError(
            f"--search={field} needs at least two different values. Received: {domain}. "
            f"--config.{field}={values[0]} sets one for all."
        )
    return Dimension(field, domain, kind, choices=values)


def _range(field: str, domain: str, kind: type) -> Dimension:
    if kind not in (int, float):
        raise UserError(
            f"--search={field} holds no number. Give its values: A,B,C. Received: {domain}."
        )
    is_log = domain.startswith("log:")
    ends, _, step = domain.removeprefix("log:").partition(":")
    low, high = (_value(field, text, kind) for text in ends.split("..", 1))
    step = _value(field, step, kind) if step else None
    if low >= high:
        raise UserError(f"--search={field} must go from less to more. Received: {domain}.")
    if is_log and low <= 0:
        raise UserError(f"--search={field} must begin above 0 for log:. Received: {domain}.")
    least = 1 if is_log else 0
    if step is not None and step <= least:
        raise UserError(f"--search={field} needs a step above {least}. Received: {domain}.")
    return Dimension(field, domain, kind, low, high, step, is_log)


def with_values(experiment, values: dict):
    """A copy of an experiment with fields set, not yet checked.

    Args:
        values: field with its room -> value; others are passed over.
    """
    changed = copy.deepcopy(experiment)
    for field, value in values.items():
        room, _, name = field.partition(".")
        setattr(getattr(changed, room), name, value)
    return changed
