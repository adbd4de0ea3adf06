"""The rule from evidence to action, case by case."""

import pytest

from lit_ae.monitoring.decision import Evidence, Moved, decide, level_of

MOVED = (Moved("pressure", 0.4, "Kolmogorov-Smirnov"),)
SHIFT = {"bulk": 0.2, "bulk_moved": True, "middle": 0.8, "features": 10}
CASES = {
    "at rest": ({}, "stationary", "nothing", 0),
    "features that the model copes with": ({"moved": MOVED, "features": 10}, "stationary", "nothing", 0),
    "more alarms, the bulk stands": ({"more_alarms": True, "alarm_rate": 0.3}, "more anomalies", "nothing", 0),
    "too small to matter": ({**SHIFT, "bulk": 0.02}, "stationary", "nothing", 0),
    "scores alone": (SHIFT, "the world moved", "recalibrate", 10),
    "confirmed normals alarm": ({"false_alarms_exceed": True}, "the world moved", "recalibrate", 10),
    "one feature": ({**SHIFT, "moved": MOVED}, "the world moved", "adapt", 11),
    "the code": ({**SHIFT, "latent": 1.0}, "the world moved", "adapt", 11),
    "scores far away": ({**SHIFT, "middle": 2.5}, "the world moved", "adapt", 11),
    "most features": ({**SHIFT, "moved": MOVED * 6}, "the world moved", "retrain", 12),
    "the code far away": ({**SHIFT, "latent": 4.0}, "the world moved", "retrain", 12),
    "most rows alarm": ({**SHIFT, "alarm_rate": 0.7}, "the world moved", "retrain", 12),
    "a column is gone": ({"broken": ("the column 'x' is gone",)}, "the schema changed", "retrain", 12),
    "new categories": ({"unseen": {"valve": 0.1}}, "the schema changed", "retrain", 12),
    "a few new categories": ({"unseen": {"valve": 0.001}}, "stationary", "nothing", 0),
    "a ring that nobody can explain": ({"has_rung": True}, "unclear", "nothing", 0),
}


@pytest.mark.parametrize(("found", "state", "action", "code"), CASES.values(), ids=CASES.keys())
def test_what_follows_from_what(found, state, action, code):
    decision = decide(Evidence(rows=1000, **found))
    assert (decision.state, decision.action, decision.exit_code) == (state, action, code)


def test_reasons_name_the_features():
    (scores, features) = decide(Evidence(rows=1000, **SHIFT, moved=MOVED)).reasons
    assert "0.80 standard deviations stranger" in scores
    assert "pressure (Kolmogorov-Smirnov 0.40)" in features


def test_the_level_makes_one_false_alarm_in_100000_rows_and_no_more():
    assert level_of(100) == pytest.approx(0.0005)
    assert level_of(500) * 100_000 / 500 == pytest.approx(0.5)  # the streams have the other half
    assert level_of(10_000_000) == 0.005
