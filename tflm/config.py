"""Dataclasses <-> plain JSON values, strictly: an unknown key is an error that lists the known ones."""

import dataclasses
import types
import typing

from tflm.errors import UserError, unknown_name


def check_ranges(config, where: str = "", **ranges) -> None:
    """Holds numbers to their range.

    Args:
        where: put before a field's name in the error, e.g. "train.".
        ranges: field=(lowest, the first number that is too high, or None for no limit). None as a value is left alone.

    Raises:
        UserError: for the first field outside its range.
    """
    for name, (low, too_high) in ranges.items():
        value = getattr(config, name)
        if value is None or (low <= value and (too_high is None or value < too_high)):
            continue
        limit = f"at least {low}" if too_high is None else f"from {low} to below {too_high}"
        raise UserError(f"`{where}{name}` must be {limit}. Received: {value}.")


def check_choices(config, where: str = "", **choices) -> None:
    """Holds names to those that there are.

    Args:
        where: put before a field's name in the error, e.g. "train.".
        choices: field=the names that it may have.

    Raises:
        UserError: for the first field that has another one; it lists the choices.
    """
    for name, known in choices.items():
        if getattr(config, name) not in known:
            raise unknown_name(f"{where}{name}", getattr(config, name), known)


def to_dict(config) -> dict:
    """A dataclass as nested dicts, lists, strings, numbers, booleans and None."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value):
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def from_dict(config_class, values: dict, path: str = ""):
    """The dataclass `config_class` from what `to_dict` gave.

    Raises:
        UserError: for an unknown or missing key, or a value of the wrong type; names the key's path.
    """
    where = path or config_class.__name__
    if not isinstance(values, dict):
        raise UserError(f"{where} must be an object. Received: {values!r}.")
    hints = typing.get_type_hints(config_class)
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for key in values:
        if key not in fields:
            raise UserError(f"Unknown key {key!r} in {where}. Known keys: {', '.join(fields)}.")
    arguments = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = _typed(hints[name], values[name], f"{where}.{name}")
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise UserError(f"{where} lacks the key {name!r}.")
    return config_class(**arguments)


def _typed(hint, value, path: str):
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in choices:
            return None
        return _typed(next(c for c in choices if c is not type(None)), value, path)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{path} must be a list. Received: {value!r}.")
        return tuple(_typed(choices[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, path)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise UserError(
            f"{path} must be {hint.__name__}. Received: {value!r} of type {type(value).__name__}."
        )
    return value
