"""Configs and JSON: what goes in comes out, and what does not belong is named."""

import dataclasses
import json

import pytest

from tflm import config as configs
from tflm.errors import UserError, unknown_name


@dataclasses.dataclass
class Inner:
    rate: float = 0.5
    names: tuple[str, ...] = ("a",)


@dataclasses.dataclass
class Outer:
    size: int
    inner: Inner = dataclasses.field(default_factory=Inner)
    limit: int | None = None
    flag: bool = False
    pairs: tuple[float, ...] = ()
    text: str = "x"


def test_there_and_back_through_json():
    outer = Outer(3, Inner(1.5, ("b", "中")), 7, True, (1.0, 2.5), "é")
    assert configs.from_dict(Outer, json.loads(json.dumps(configs.to_dict(outer)))) == outer
    assert configs.from_dict(Outer, {"size": 1}) == Outer(1)
    assert configs.to_dict(Outer(1))["inner"] == {"rate": 0.5, "names": ["a"]}


def test_a_whole_number_may_stand_for_a_float():
    loaded = configs.from_dict(Outer, {"size": 1, "inner": {"rate": 2}, "pairs": [1]})
    assert type(loaded.inner.rate) is float
    assert type(loaded.pairs[0]) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 1, "sise": 2}, "Unknown key 'sise' in Outer. Known keys: size, inner, limit"),
        ({"size": 1, "inner": {"rat": 1}}, "Unknown key 'rat' in Outer.inner. Known keys: rate"),
        ({}, "Outer lacks the key 'size'"),
        ({"size": "1"}, "Outer.size must be int. Received: '1' of type str"),
        ({"size": 1.0}, "Outer.size must be int. Received: 1.0"),
        ({"size": True}, "Outer.size must be int. Received: True"),
        ({"size": None}, "Outer.size must be int. Received: None"),
        ({"size": 1, "flag": 1}, "Outer.flag must be bool. Received: 1"),
        ({"size": 1, "limit": "x"}, "Outer.limit must be int"),
        ({"size": 1, "inner": 3}, "Outer.inner must be an object. Received: 3"),
        ({"size": 1, "inner": {"names": "ab"}}, "Outer.inner.names must be a list. Received: 'ab'"),
        ({"size": 1, "pairs": [1.0, "x"]}, r"Outer.pairs\[1\] must be float. Received: 'x'"),
        ([], "Outer must be an object"),
    ],
)
def test_what_does_not_belong_is_named(values, message):
    with pytest.raises(UserError, match=message):
        configs.from_dict(Outer, values)


def test_ranges():
    configs.check_ranges(Outer(0), size=(0, 1), limit=(5, None))  # None is left alone
    with pytest.raises(UserError, match="`size` must be from 0 to below 1. Received: 1."):
        configs.check_ranges(Outer(1), size=(0, 1))
    with pytest.raises(UserError, match="`in.size` must be at least 2. Received: 1."):
        configs.check_ranges(Outer(1), "in.", size=(2, None))


def test_an_unknown_name_lists_the_choices():
    error = unknown_name("colour", "rde", {"red": 1, "blue": 2})
    assert str(error) == "Unknown colour 'rde'. Choose one of: blue, red."
