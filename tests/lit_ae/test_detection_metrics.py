"""Figures of detection against scikit-learn, slow definitions and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from lit_ae.metrics.alarms import alarm_figures, family_figures
from lit_ae.metrics.events import event_figures, point_adjusted, runs, volume_under_precision_recall
from lit_ae.metrics.ranked import average_precision_interval
from lit_ae.metrics.ranking import best_f1, ranking_figures
from lit_ae.proportions import clopper_pearson


@st.composite
def judged(draw, most=40):
    """Scores with ties, labels of both kinds, entities next to each other."""
    size = draw(st.integers(2, most))
    score = np.array(draw(st.lists(st.integers(0, 6), min_size=size, max_size=size)), float)
    anomaly = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    anomaly[0], anomaly[-1] = True, False
    entity = np.sort(draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)))
    return score, anomaly, entity


@given(judged())
def test_ranking_figures_are_those_of_their_definitions(rows):
    score, anomaly, _ = rows
    figures = ranking_figures(score, anomaly)
    above = (score[anomaly][:, None] > score[~anomaly]) + 0.5 * (score[anomaly][:, None] == score[~anomaly])
    assert figures["auroc"] == pytest.approx(above.mean())
    assert figures["base_rate"] == anomaly.mean()
    thresholds = [*np.unique(score), np.inf]
    allowed = [(score[anomaly] >= t).mean() for t in thresholds if (score[~anomaly] >= t).mean() <= 0.05]
    assert figures["recall_at_false_alarms_0.05"] == pytest.approx(max(allowed))
    assert best_f1(score, anomaly) == pytest.approx(max(f1_score(anomaly, score >= t) for t in np.unique(score)))


@settings(max_examples=10)
@given(judged())
def test_the_bootstrap_is_that_of_scikit_learns_average_precision(rows):
    score, anomaly, entity = rows
    groups = np.unique(entity, return_inverse=True)[1]
    for drawn_together, blocks in ((groups, entity), (np.arange(len(score)), None)):
        generator, count, values = np.random.default_rng(5), drawn_together.max() + 1, []
        for _ in range(30):
            weight = np.bincount(generator.integers(count, size=count), minlength=count)[drawn_together]
            if weight[anomaly].any() and weight[~anomaly].any():
                values.append(average_precision_score(anomaly, score, sample_weight=weight))
        expected = np.quantile(values, [0.025, 0.975]) if values else (np.nan, np.nan)
        found = average_precision_interval(score, anomaly, blocks, resamples=30, seed=5)
        np.testing.assert_allclose(found, expected)


def test_rows_that_are_drawn_together_widen_the_interval():
    generator = np.random.default_rng(0)
    anomaly = np.repeat(generator.random(60) < 0.4, 50)
    score = anomaly + np.repeat(generator.normal(size=60), 50)
    alone = average_precision_interval(score, anomaly, resamples=200)
    together = average_precision_interval(score, anomaly, np.repeat(np.arange(60), 50), resamples=200)
    assert alone[0] < average_precision_score(anomaly, score) < alone[1]
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (3, 20), (20, 20)])
def test_clopper_pearson_is_made_of_beta_quantiles(successes, trials):
    low = beta.ppf(0.025, successes, trials - successes + 1) if successes else 0
    high = beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1
    assert clopper_pearson(successes, trials) == pytest.approx((low, high))


def test_alarm_figures_by_hand_and_with_nothing_to_divide_by():
    alarm, anomaly = np.array([1, 1, 0, 0, 1, 0], bool), np.array([1, 0, 1, 0, 1, 0], bool)
    figures = alarm_figures(alarm, anomaly)
    assert figures["precision"] == figures["recall"] == figures["f1"] == pytest.approx(2 / 3)
    assert figures["false_alarm_rate"] == pytest.approx(1 / 3)
    assert figures["false_alarm_rate_low"] < 1 / 3 < figures["false_alarm_rate_high"]
    silent = alarm_figures(np.zeros(3, bool), np.ones(3, bool))
    assert silent == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_each_family_is_held_against_all_normal_rows():
    score = np.array([1.0, 2, 3, 4, 5, 6])
    anomaly, family = np.array([0, 0, 1, 0, 1, 1], bool), np.array([0, 0, 1, 0, 1, 2])
    found = family_figures(score, score > 4.5, anomaly, family, ["normal", "dos", "probe", "never"])
    assert found["dos"] == {"rows": 2, "auroc": roc_auc_score([0, 0, 1, 0, 1], score[:5]), "recall": 0.5}
    assert found["probe"] == {"rows": 1, "auroc": 1.0, "recall": 1.0}
    assert found.keys() == {"dos", "probe"}


def slow_runs(mask, entity):
    found = []
    for row, value in enumerate(mask):
        if value and row and mask[row - 1] and entity[row] == entity[row - 1]:
            found[-1][1] = row + 1
        elif value:
            found.append([row, row + 1])
    return found


@given(judged())
def test_runs_are_those_of_a_plain_loop(rows):
    _, mask, entity = rows
    assert runs(mask, entity).tolist() == slow_runs(mask, entity)
    assert runs(mask).tolist() == slow_runs(mask, np.zeros(len(mask)))


@given(judged(), st.floats(0, 6))
def test_event_figures_are_those_of_a_plain_loop(rows, threshold):
    score, anomaly, entity = rows
    alarm = score > threshold
    figures = event_figures(alarm, anomaly, entity, rows_per_day=24.0)
    events, raised = slow_runs(anomaly, entity), slow_runs(alarm, entity)
    delays = [next((row - a for row in range(a, b) if alarm[row]), None) for a, b in events]
    noticed = [delay for delay in delays if delay is not None]
    assert figures["event_recall"] == pytest.approx(len(noticed) / len(events))
    assert figures.get("detection_delay") == (pytest.approx(np.mean(noticed)) if noticed else None)
    assert figures["alarms_per_day"] == pytest.approx(len(raised) * 24 / len(score))
    false = sum(not anomaly[a:b].any() for a, b in raised)
    assert figures["false_alarms_per_day"] == pytest.approx(false * 24 / (~anomaly).sum())


def test_point_adjustment_makes_a_random_score_shine():
    anomaly = np.zeros(5000, bool)
    for start in range(100, 5000, 500):
        anomaly[start : start + 200] = True
    score = np.random.default_rng(0).random(5000)
    adjusted = point_adjusted(score, anomaly)
    assert best_f1(score, anomaly) < 0.6 < 0.9 < best_f1(adjusted, anomaly)
    assert np.array_equal(adjusted[~anomaly], score[~anomaly])


def slow_volume(score, anomaly, entity, longest):
    """VUS-PR word by word: faded labels, thresholds and segments by plain loops."""
    areas = []
    for buffer in range(longest + 1):
        faded = np.zeros(len(score))
        for row in range(len(score)):
            for other in range(len(score)):
                away = abs(row - other)
                if anomaly[other] and entity[row] == entity[other] and away <= buffer / 2:
                    faded[row] = max(faded[row], np.sqrt(1 - away / buffer) if buffer else 1.0)
        segments = slow_runs(faded > 0, entity)
        area, last = 0.0, 0.0
        for threshold in sorted(set(score), reverse=True):
            alarm = score >= threshold
            found = (faded * alarm).sum()
            noticed = np.mean([alarm[a:b].any() for a, b in segments])
            recall = min(found / ((anomaly.sum() + faded.sum()) / 2), 1) * noticed
            area, last = area + (recall - last) * found / alarm.sum(), recall
        areas.append(area)
    return np.mean(areas)


@settings(max_examples=40, deadline=None)
@given(judged(most=20), st.integers(0, 7))
def test_the_volume_is_that_of_its_definition(rows, longest):
    score, anomaly, entity = rows
    found = volume_under_precision_recall(score, anomaly, entity, longest)
    assert found == pytest.approx(slow_volume(score, anomaly, entity, longest))


@given(st.lists(st.integers(0, 9), min_size=5, max_size=30))
def test_with_one_event_and_no_buffer_the_volume_is_the_average_precision(scores):
    score, anomaly = np.array(scores, float), np.zeros(len(scores), bool)
    anomaly[2:4] = True
    expected = average_precision_score(anomaly, score)
    assert volume_under_precision_recall(score, anomaly, None, 0) == pytest.approx(expected)


def test_the_volume_forgives_an_alarm_that_is_a_little_early():
    anomaly = np.zeros(300, bool)
    anomaly[100:120] = True
    early, never = np.roll(anomaly, -5).astype(float), np.roll(anomaly, 100).astype(float)
    shown = [volume_under_precision_recall(s, anomaly, None, 40) for s in (anomaly.astype(float), early, never)]
    assert shown[0] > shown[1] > 5 * shown[2]
    assert shown[1] > average_precision_score(anomaly, early)
