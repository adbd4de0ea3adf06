"""Figures of ranks are those that scikit-learn finds of the scores, however often a row is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from lit_ae.metrics.ranked import auroc, average_precision, dense_ranks, recall_within

ROWS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40)


@given(rows=ROWS, budget=st.sampled_from([0.0, 0.01, 0.1, 1 / 3, 0.5, 1.0]), seed=st.integers(0, 99))
def test_figures_of_ranks_are_those_of_scores(rows, budget, seed):
    score, anomaly = np.array([row[0] for row in rows]) / 3, np.array([row[1] for row in rows])
    drawn = np.append([0, 1], np.random.default_rng(seed).integers(len(rows), size=len(rows)))
    anomaly[:2] = True, False
    rank, score, anomaly = dense_ranks(score)[drawn], score[drawn], anomaly[drawn]
    assert auroc(anomaly, rank) == pytest.approx(roc_auc_score(anomaly, score))
    assert average_precision(anomaly, rank) == pytest.approx(average_precision_score(anomaly, score))
    false_alarms, found, _ = roc_curve(anomaly, score, drop_intermediate=False)
    assert recall_within(budget)(anomaly, rank) == pytest.approx(found[false_alarms <= budget].max())


@pytest.mark.parametrize("figure", [auroc, average_precision, recall_within(0.1)])
def test_rows_of_one_kind_have_no_ranking(figure):
    rank = np.arange(3)
    assert np.isnan(figure(np.zeros(3, bool), rank))
    assert np.isnan(figure(np.ones(3, bool), rank))
