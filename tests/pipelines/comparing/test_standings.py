"""Figures, intervals and verdicts of a comparison against scikit-learn, laws and simulations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.comparing.figures import (
    Measure,
    false_alarm_rate,
    mean,
    measures,
    recall,
)
from pipelines.comparing.groups import names
from pipelines.comparing.judged import Judged
from pipelines.comparing.standings import best, compared, enough, standing
from pipelines.judging.anomalies import Labels, Said

ROWS = 100
MSE = Measure("mse", "MSE", False, mean, np.zeros(ROWS), lambda one: one.errors)


def of_errors(errors):
    return Judged(np.asarray(errors, float), torch.zeros(0))


def test_what_a_threshold_does_is_a_share_of_each_kind_of_rows():
    anomaly, alarm = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 0, 0], bool)
    assert (recall(anomaly, alarm), false_alarm_rate(anomaly, alarm)) == (1 / 2, pytest.approx(1 / 3))


def test_detectors_are_judged_on_the_rows_that_all_of_them_score():
    labels = Labels(np.array([False, True, False, True, False]))
    first, second = np.array([0, 1, 1, 1, 1], bool), np.array([1, 1, 1, 1, 0], bool)
    said = [Said(np.array([3.0, 1.0, 4.0, 2.0]), np.array([True, False, True, False])) for _ in range(2)]
    judged = [Judged(np.zeros(5), torch.zeros(0), one, rows) for one, rows in zip(said, (first, second), strict=True)]
    found = {one.key: one for one in measures(judged, None, labels, alike=False)}
    assert list(found) == ["ap", "auroc", "recall", "false_alarm_rate"]
    assert found["ap"].truth.tolist() == [True, False, True]
    assert found["ap"].values(judged[0]).tolist() == [1, 0, 2]
    assert found["ap"].values(judged[1]).tolist() == [0, 2, 1]
    assert found["recall"].values(judged[0]).tolist() == [True, False, True]


def test_a_difference_that_every_row_shows_is_real_and_one_that_none_shows_is_not():
    hard = np.random.default_rng(0).random(ROWS)
    groups = [[of_errors(hard)], [of_errors(hard + 0.01)], [of_errors(hard)]]
    standings = [standing(MSE, group, 400, 0.95, 0, place) for place, group in enumerate(groups)]
    assert best(standings, higher_is_better=False) == 0
    reference, worse, same = compared(standings, 0, 0.95)
    assert reference is None
    assert worse.is_real
    assert worse.difference.difference == pytest.approx(0.01)
    assert not same.is_real
    assert worse.corrected == pytest.approx(2 * worse.difference.p_value)


def test_one_model_alone_has_nothing_to_be_compared_with():
    alone = standing(MSE, [of_errors(np.ones(ROWS))], 100, 0.95, 0, 0)
    assert compared([alone], 0, 0.95) == [None]
    assert (alone.mean, alone.sd) == (1.0, None)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seeds_that_differ_by_chance_are_seldom_called_different(seeds):
    """200 pairs of groups whose seeds scatter far more than rows do: at most 5 % and three standard errors are real."""
    generator, real = np.random.default_rng(seeds), 0
    for _ in range(200):
        rows = generator.normal(0, 0.01, (2, seeds, ROWS)) + generator.normal(size=(2, seeds, 1))
        groups = [[of_errors(errors) for errors in group] for group in rows]
        standings = [standing(MSE, group, 100, 0.95, 0, place) for place, group in enumerate(groups)]
        real += compared(standings, 0, 0.95)[1].is_real
    assert real / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


@settings(max_examples=20)
@given(st.integers(1, 200), st.floats(0.5, 0.99))
def test_there_are_draws_enough_for_every_comparison_to_be_real(comparisons, level):
    resamples = enough(100, comparisons, level)
    assert comparisons * 2 / (resamples + 1) <= 1 - level


def test_groups_are_told_apart_by_what_differs(tmp_path):
    from pipelines.comparing.contestants import Contestant

    class Named(Contestant):
        name = "VAE MLP 3 Digits"

    def one(address, beta, latent):
        model = {"class_path": "lit_ae.variants.VAE", "init_args": {"beta": beta, "latent_dim": latent}}
        return (Named(address, tmp_path, None, {"model": model, "tracking": {"run_name": address}}),)

    assert names([one("a", 1.0, 3), one("b", 4.0, 3)]) == ["VAE MLP 3 Digits, beta 1.0", "VAE MLP 3 Digits, beta 4.0"]
    assert names([one("a" * 32, 1.0, 3), one("b" * 32, 1.0, 3)]) == [
        "VAE MLP 3 Digits (aaaaaaaa)",
        "VAE MLP 3 Digits (bbbbbbbb)",
    ]
