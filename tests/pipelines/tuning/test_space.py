"""Ranges, conditions, and what a trial is given."""

import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_ae.errors import UserError
from pipelines.tuning.space import Range, Space

optuna.logging.set_verbosity(optuna.logging.ERROR)
CONDITIONAL = {
    "model.sparsity.k": {"int": [4, 64], "log": True, "when": {"model.sparsity": "TopK"}},
    "model.sparsity.weight": {"float": [0.001, 1], "log": True, "when": {"model.sparsity": "L1"}},
    "model.sparsity": {"categorical": ["TopK", "L1", "KL"]},
}


def suggested(space: Space, seed: int) -> dict:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    return space.suggest(study.ask())


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 99), st.booleans())
def test_whole_numbers_stay_in_their_range(low, width, seed, log):
    value = suggested(Space({"a": {"int": [low, low + width], "log": log}}), seed)["a"]
    assert isinstance(value, int)
    assert low <= value <= low + width


@given(st.floats(-100, 100), st.integers(1, 50), st.floats(0.01, 3), st.integers(0, 99))
def test_numbers_stay_on_their_steps(low, count, step, seed):
    one = Range.read("a", {"float": [low, low + count * step], "step": step * (1 - 1e-9)})
    value = suggested(Space({"a": {"float": list(one.values), "step": one.step}}), seed)["a"]
    steps = (value - low) / one.step
    assert math.isclose(steps, round(steps), abs_tol=1e-6)
    assert low <= value <= one.values[1]


@given(st.integers(0, 200))
def test_a_condition_decides_what_exists(seed):
    chosen = suggested(Space(CONDITIONAL), seed)
    others = {"TopK": {"model.sparsity.k"}, "L1": {"model.sparsity.weight"}, "KL": set()}[chosen["model.sparsity"]]
    assert set(chosen) == {"model.sparsity"} | others


def test_the_context_of_a_path_is_what_it_depends_on():
    space = Space(CONDITIONAL)
    assert next(iter(space.ranges)) == "model.sparsity"
    assert space.context("model.sparsity.k") == {"model.sparsity": "TopK"}
    assert space.context("model.sparsity") == {}


@pytest.mark.parametrize(
    ("written", "value", "held"),
    [
        ({"int": [2, 64]}, 16, 16),
        ({"int": [2, 64]}, 16.5, None),
        ({"int": [2, 64]}, True, None),
        ({"int": [2, 64], "step": 3}, 5, 5),
        ({"int": [2, 64], "step": 3}, 6, None),
        ({"float": [0.1, 1]}, 1, 1.0),
        ({"float": [0.1, 1]}, 1.01, None),
        ({"categorical": ["TopK", "L1"]}, "lit_ae.sparsity.TopK", "TopK"),
        ({"categorical": [[32, 64], [8]]}, [8], "[8]"),
        ({"categorical": ["1.5", "2.5"]}, "3.5", None),
        ({"categorical": [None, 1]}, None, "null"),
    ],
)
def test_what_a_range_holds(written, value, held):
    found = Range.read("a", written).holds(value)
    assert (found, type(found)) == (held, type(held))


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({}, "The study has no space"),
        ({"a": 3}, "space.a is no range"),
        ({"a": {"int": [1, 2], "float": [1, 2]}}, "must name one of int, float, categorical"),
        ({"a": {"ints": [1, 2]}}, "must name one of int, float, categorical"),
        ({"a": {"int": [1, 2], "logg": True}}, "has no option 'logg': did you mean log?"),
        ({"a": {"categorical": ["x"], "log": True}}, "of kind categorical has no option 'log'"),
        ({"a": {"int": 3}}, "int needs a list of values, not 3"),
        ({"a": {"int": [5, 2]}}, "space.a is empty: 5 is not below 2"),
        ({"a": {"int": [2, 2]}}, "space.a is empty"),
        ({"a": {"int": [0.5, 2]}}, "needs the lowest and the highest int"),
        ({"a": {"float": [0, 1, 2]}}, "needs the lowest and the highest float"),
        ({"a": {"float": [0.0, math.inf]}}, "space.a is empty"),
        ({"a": {"float": [0, 1], "log": True}}, "log needs a lowest value above 0"),
        ({"a": {"float": [1, 2], "step": 3}}, "step must be above 0 and at most 1"),
        ({"a": {"categorical": []}}, "is empty or names a choice twice"),
        ({"a": {"categorical": ["x", "x"]}}, "is empty or names a choice twice"),
        ({"a": {"int": [1, 2], "when": {"b": 1}}}, "when names b = 1"),
        ({**CONDITIONAL, "b": {"int": [1, 2], "when": {"model.sparsty": "KL"}}}, "did you mean model.sparsity?"),
        ({**CONDITIONAL, "b": {"int": [1, 2], "when": {"model.sparsity": "No"}}}, "one of TopK, L1, KL"),
        (
            {
                "a": {"categorical": [1, 2], "when": {"b": 1}},
                "b": {"categorical": [1, 2], "when": {"a": 1}},
            },
            "depend on each other in a circle",
        ),
    ],
)
def test_what_is_no_space_is_said_in_one_sentence(space, sentence):
    with pytest.raises(UserError) as raised:
        Space(space)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
