"""Calibration holds what it promises, and its p-values, tails and discoveries are those of other implementations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, false_discovery_control, genpareto, kstest

from lit_ae.detection.calibration import (
    Calibration,
    best_f1,
    discoveries,
    least_rows,
    lowest_p_value,
    rounded_up,
)
from lit_ae.detection.dependence import blocks_in_time, correlation_time
from lit_ae.detection.tail import Tail

FINITE = st.floats(-1e6, 1e6)
SCORES = st.lists(FINITE, min_size=1, max_size=40).map(lambda values: torch.tensor(values, dtype=torch.float64))


@settings(deadline=None)
@given(SCORES, SCORES)
def test_p_values_count_the_calibration_rows_that_score_as_high(known, asked):
    calibration = Calibration.of(known)
    expected = (1 + (known >= asked[:, None]).sum(1)) / (1 + len(known))
    torch.testing.assert_close(calibration.p_values(asked), expected.double())


@settings(deadline=None)
@given(SCORES, SCORES, st.floats(0.01, 0.99))
def test_a_score_is_above_the_threshold_where_its_p_value_is_within_the_budget(known, asked, alpha):
    calibration = Calibration.of(known)
    assert torch.equal(asked > calibration.threshold(alpha), calibration.p_values(asked) <= alpha)


@settings(deadline=None)
@given(SCORES, st.data())
def test_a_block_counts_as_one_row(known, data):
    blocks = torch.tensor(data.draw(st.lists(st.integers(0, 5), min_size=len(known), max_size=len(known))))
    calibration = Calibration.of(known, blocks)
    score = data.draw(FINITE)
    shares = [(known[blocks == block] >= score).double().mean() for block in blocks.unique()]
    expected = (1 + sum(shares)) / (1 + len(shares))
    assert calibration.p_values(torch.tensor([score], dtype=torch.float64)).item() == pytest.approx(float(expected))
    assert calibration.effective_rows == len(shares)
    assert calibration.floor == 1 / (1 + len(shares))


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_realised_rate_is_inside_its_interval_in_93_of_100_resamples(table, alpha):
    scores = table.detector.score(torch.cat([table.normal, *(fresh(seed) for seed in range(20, 25))]))
    assert resamples_within(scores, alpha, rows=len(scores) // 2) >= 93


def fresh(seed):
    from tests.detection.conftest import sensors

    return sensors(1000, seed)


def resamples_within(scores, alpha, rows, resamples=100):
    """How many random halves give the other half a false-alarm count inside its 95 % interval.

    The count of m new normal rows that get p <= alpha is beta-binomial (m, k, n + 1 - k), k = floor(alpha (n + 1)).
    """
    generator, within = torch.Generator().manual_seed(0), 0
    k, judged = int(alpha * (rows + 1)), len(scores) - rows
    low, high = betabinom(judged, k, rows + 1 - k).interval(0.95)
    for _ in range(resamples):
        order = torch.randperm(len(scores), generator=generator)
        calibration = Calibration.of(scores[order[:rows]])
        alarms = int((calibration.p_values(scores[order[rows:]]) <= alpha).sum())
        within += low <= alarms <= high
    return within


def test_p_values_of_normal_rows_are_uniform():
    draws = np.random.default_rng(0).normal(size=8000)
    p = Calibration.of(torch.from_numpy(draws[:4000])).p_values(torch.from_numpy(draws[4000:]))
    assert kstest(p.numpy(), "uniform").pvalue > 0.01


def test_discoveries_are_those_of_benjamini_and_hochberg():
    random = np.random.default_rng(0)
    for share in (0.0, 0.3, 1.0):
        p = np.where(random.random(200) < share, random.random(200) ** 8, random.random(200))
        expected = false_discovery_control(p) <= 0.1
        assert np.array_equal(discoveries(torch.from_numpy(p), 0.1).numpy(), expected)
    with_gap = torch.tensor([0.001, torch.nan, 0.9], dtype=torch.float64)
    assert discoveries(with_gap, 0.1).tolist() == [True, False, False]
    assert not discoveries(torch.full((3,), torch.nan), 0.1).any()


def test_the_tail_is_scipys_and_reaches_a_tenth_of_the_floor():
    draws = torch.from_numpy(np.sort(np.random.default_rng(1).standard_t(6, 5000)))
    calibration = Calibration.of(draws)
    tail = calibration.tail
    law = genpareto(float(tail.shape), scale=float(tail.scale))
    beyond = draws.max() + torch.tensor([0.0, 0.5, 1.0, 100.0], dtype=torch.float64) + 1e-9
    expected = np.clip(0.1 * law.sf((beyond - tail.start).numpy()), calibration.floor / 10, calibration.floor)
    np.testing.assert_allclose(calibration.p_values(beyond).numpy(), expected, rtol=1e-6)
    assert calibration.lowest == pytest.approx(1 / 5001 / 10)
    alpha = calibration.floor / 9
    assert tail.p_values(torch.tensor([tail.threshold(alpha)]).double()).item() == pytest.approx(alpha, rel=1e-6)
    assert calibration.threshold(alpha) == max(tail.threshold(alpha), float(draws.max()))
    assert calibration.threshold(calibration.lowest / 2) == float("inf")


@pytest.mark.parametrize("draws", [np.arange(400), np.zeros(5000), np.random.default_rng(0).standard_cauchy(5000)])
def test_a_tail_that_the_rows_do_not_carry_is_refused(draws):
    ordered = torch.from_numpy(np.sort(draws)).double()
    assert Tail.of(ordered, torch.ones(len(ordered)).double(), 1 / len(ordered)) is None
    calibration = Calibration.of(ordered)
    assert calibration.lowest == calibration.floor
    assert calibration.threshold(calibration.floor / 2) == float("inf")


@pytest.mark.parametrize("keeps", [0.0, 0.5, 0.9])
def test_the_correlation_time_is_that_of_an_autoregression(keeps):
    random, steps = np.random.default_rng(2), [0.0]
    for noise in random.normal(size=20_000):
        steps.append(keeps * steps[-1] + noise)
    expected = (1 + keeps) / (1 - keeps)
    assert correlation_time(torch.tensor(steps)) == pytest.approx(expected, rel=0.25)


def test_blocks_lie_within_an_entity_and_are_as_long_as_scores_remember():
    steps = torch.randn(600, generator=torch.Generator().manual_seed(0)).repeat_interleave(10)
    entity = torch.tensor([4, 9]).repeat_interleave(3000)
    blocks, length = blocks_in_time(steps, entity)
    assert length == pytest.approx(10, abs=3)
    assert not set(blocks[:3000].tolist()) & set(blocks[3000:].tolist())
    assert (blocks.diff() >= 0).all()
    sizes = blocks.unique(return_counts=True)[1]
    assert length <= int(sizes.min()) <= int(sizes.max()) <= length + 1


def test_a_series_says_its_effective_rows(series):
    notes = series.detector.notes
    assert notes["block_rows"] > 1
    assert notes["effective_rows"] == series.detector.calibration.effective_rows < notes["calibration_rows"] / 2


def test_labels_give_the_threshold_with_the_best_f1():
    scores, anomalous = (
        torch.tensor([0.1, 0.2, 0.4, 0.3, 0.9], dtype=torch.float64),
        torch.tensor([0, 0, 0, 1, 1]).bool(),
    )
    assert 0.2 < best_f1(scores, anomalous) < 0.3
    assert best_f1(scores, torch.ones(5).bool()) < float(scores[0])


@given(st.floats(1e-5, 0.9), st.booleans())
def test_the_rows_that_a_budget_needs_are_the_fewest_that_can_give_it(budget, with_tail):
    rows = least_rows(budget, with_tail)
    assert lowest_p_value(rows, with_tail) <= budget * (1 + 1e-9)
    assert rows == 0 or lowest_p_value(rows - 1, with_tail) > budget * (1 - 1e-9)


@given(st.floats(1e-6, 0.99))
def test_a_share_in_two_digits_is_not_below_it(share):
    typed = float(f"{rounded_up(share):.2g}")
    assert share <= typed * (1 + 1e-9)
    assert typed <= 1.1 * share * (1 + 1e-9)


def test_every_rule_has_its_threshold(table):
    thresholds, scores = table.detector.thresholds(), table.detector.calibration.scores
    assert set(thresholds) == {"conformal", "fdr", "quantile", "contamination", "sigma"}
    assert float((scores > thresholds["quantile"]).double().mean()) == pytest.approx(0.05, abs=1e-3)
    assert thresholds["sigma"] == pytest.approx(float(scores.mean() + 3 * scores.std(correction=0)))
