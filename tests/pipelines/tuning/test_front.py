"""The front against a brute-force oracle, and its knee by the written rule."""

import math
import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from lit_ae.errors import UserError
from pipelines.tuning.front import choose, front, knee

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
VALUES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


def study_of(values, directions=("minimize", "maximize")) -> optuna.Study:
    study = optuna.create_study(directions=list(directions))
    for row in values:
        study.add_trial(create_trial(state=TrialState.COMPLETE, values=list(map(float, row))))
    return study


def beats(one, other) -> bool:
    """Lower first, higher second value."""
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(VALUES)
@settings(deadline=None)
def test_the_front_is_what_nothing_beats(values):
    expected = [i for i, one in enumerate(values) if not any(beats(other, one) for other in values)]
    assert [trial.number for trial in front(study_of(values))] == expected


@given(VALUES)
@settings(deadline=None)
def test_the_knee_is_the_nearest_to_the_best_of_both(values):
    study = study_of(values)
    rows = {trial.number: trial.values for trial in front(study)}
    lows, highs = [[f(column) for column in zip(*rows.values(), strict=True)] for f in (min, max)]

    def distance(row) -> float:
        first = (row[0] - lows[0]) / ((highs[0] - lows[0]) or 1)
        second = (highs[1] - row[1]) / ((highs[1] - lows[1]) or 1)
        return math.sqrt(first**2 + second**2)

    found = knee(study)
    assert distance(found.values) <= min(map(distance, rows.values())) + 1e-9


def test_a_knee_by_hand():
    """Distances 1, sqrt(0.1² + 0.2²), 1: the middle one."""
    assert knee(study_of([(0, 0), (1, 8), (10, 10)])).number == 1


def test_the_best_of_one_objective_and_a_trial_by_number():
    study = study_of([(3,), (1,), (2,)], ["minimize"])
    assert [choose(study, wanted).number for wanted in ("knee", "best", "2", 0)] == [1, 1, 2, 0]
    with pytest.raises(UserError, match="no completed trial 7: choose one of 0, 1, 2"):
        choose(study, 7)


def test_nothing_is_chosen_where_nothing_is_complete():
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.add_trial(create_trial(state=TrialState.FAIL))
    assert (front(study), knee(study), choose(study, "best")) == ([], None, None)
