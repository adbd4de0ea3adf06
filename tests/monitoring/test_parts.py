"""Ranks, streams, features, timelines and the promise: each against an oracle or a law."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lit_ae.detection.calibration import Calibration
from lit_ae.monitoring.features import Feature
from lit_ae.monitoring.latent import LatentProfile
from lit_ae.monitoring.profile import Promise, in_time
from lit_ae.monitoring.ranks import FURTHEST, Ranks, rank_of, strangeness
from lit_ae.monitoring.stream import Stream
from lit_ae.monitoring.tally import LINES, Piece, Tally, Timeline
from lit_ae.monitoring.watch import significant
from lit_ae.proportions import clopper_pearson


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def ranks_of(scores: np.ndarray) -> tuple[Ranks, Calibration]:
    fitted = Calibration.of(torch.from_numpy(scores))
    return Ranks.of(fitted.p_values(fitted.scores).numpy(), fitted.weights.numpy()), fitted


@given(st.lists(st.integers(0, 5), min_size=5, max_size=200))
@settings(max_examples=50, deadline=None)
def test_ranks_are_centred_however_many_scores_are_tied(scores):
    known = np.array(scores, dtype=np.float64)
    ranks, fitted = ranks_of(known)
    uniform = ranks.uniform(fitted.p_values(torch.from_numpy(known)).numpy())
    assert uniform.mean() == pytest.approx(0.5, abs=1e-9)
    assert ((uniform > 0) & (uniform < 1)).all()


@pytest.mark.parametrize("law", ["normal", "standard_cauchy", "pareto"])
def test_ranks_are_uniform_whatever_the_law_of_the_scores_is(law):
    def draw(rows: int) -> np.ndarray:
        rng = np.random.default_rng(rows)
        return rng.pareto(1.1, rows) if law == "pareto" else getattr(rng, law)(size=rows)

    ranks, fitted = ranks_of(draw(20_000))
    uniform = ranks.uniform(fitted.p_values(torch.from_numpy(draw(20_001))).numpy())
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


def test_ranks_thinned_say_the_same(rng):
    scores = rng.normal(size=60_000)
    ranks, fitted = ranks_of(scores)
    p = fitted.p_values(torch.from_numpy(rng.normal(size=500))).numpy()
    whole = Ranks(np.sort(fitted.p_values(fitted.scores).numpy()), np.arange(60_001.0))
    assert len(ranks.p_values) < 60_000
    assert ranks.effective_rows == whole.effective_rows
    np.testing.assert_allclose(ranks.uniform(p), whole.uniform(p), atol=2e-4)


def test_strangeness_is_bounded_and_inverted():
    values = strangeness(np.array([1e-12, 0.3, 1 - 1e-12]))
    assert values[0] == FURTHEST == -values[2]
    assert rank_of(values)[1] == pytest.approx(0.3)


def test_a_stream_rings_soon_after_a_shift_and_not_before():
    reference = strangeness((np.arange(2000) + 0.5) / 2000)
    delays = []
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=3000)
        values[2000:] += 0.5
        changes = Stream(reference).update(rank_of(values))
        assert all(change.row >= 2000 for change in changes)
        delays.append(changes[0].row - 2000)
    assert max(delays) <= 300


def test_a_stream_of_blocks_counts_blocks_and_names_rows(rng):
    steps = 10
    noise = np.convolve(rng.normal(size=60_000), np.ones(steps) / math.sqrt(steps), "valid")
    strange, spread = in_time(noise[:20_000], None, 2 * steps)
    still, moved = noise[20_000:40_000], noise[40_000:50_000] + 1.0
    assert Stream(strange, 2 * steps, spread).update(rank_of(still)) == []
    watched = Stream(strange, 2 * steps, spread)
    rung = [
        change.row for part in np.array_split(np.append(still, moved), 37) for change in watched.update(rank_of(part))
    ]
    assert 20_000 < rung[0] < 20_000 + 300 * 2 * steps


def test_pieces_of_a_stream_change_nothing(rng):
    uniform = np.append(rng.random(900), rng.random(900) ** 2)
    uniform[::50] = np.nan
    whole = Stream(np.zeros(0)).update(uniform)
    cut = Stream(np.zeros(0))
    assert [change for part in np.array_split(uniform, 13) for change in cut.update(part)] == whole
    assert whole


@given(st.integers(50, 400), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_a_numeric_feature_is_as_far_as_scipy_says(rows, shift):
    rng = np.random.default_rng(rows)
    before, after = rng.normal(size=800), rng.normal(size=rows) + shift
    feature = Feature.numeric("x", before)
    found = feature.difference(feature.count(after))
    exact = stats.ks_2samp(before, after, method="asymp")
    assert exact.statistic - 1.5 / 128 <= found.distance <= exact.statistic + 1e-12
    assert found.p_value >= 0.5 * exact.pvalue


def test_a_constant_that_changes_is_seen_on_either_side():
    feature = Feature.numeric("x", np.full(500, 3.0))
    for value in (2.0, 4.0):
        assert feature.difference(feature.count(np.full(200, value))).distance == 1.0
    assert feature.difference(feature.count(np.full(200, 3.0))).distance == 0.0


def test_categories_are_as_far_as_a_contingency_table_says():
    before, after = np.repeat([0.0, 1, 2], [500, 300, 200]), np.repeat([0.0, 1, 2, 3], [80, 60, 50, 10])
    feature = Feature.categorical("x", before, ["a", "b", "c"])
    found = feature.difference(feature.count(after))
    assert found.distance == pytest.approx(0.1)
    assert feature.unseen_share(feature.count(after)) == pytest.approx(0.05)
    table = [[80, 60, 60], [500, 300, 200]]  # the unseen value is rare here, and joins the rarest
    assert found.p_value < 0.01
    assert stats.chi2_contingency(table).pvalue < 0.02


def test_missing_values_are_a_difference_of_their_own(rng):
    before = np.append(rng.normal(size=950), np.full(50, np.nan))
    feature = Feature.numeric("x", before)
    same, more = (
        np.append(rng.normal(size=285), np.full(15, np.nan)),
        np.append(rng.normal(size=200), np.full(100, np.nan)),
    )
    assert feature.missing_difference(feature.count(same)).p_value > 0.5
    assert feature.missing_difference(feature.count(more)).p_value < 1e-6
    assert feature.difference(feature.count(more)).p_value > 1e-3
    assert feature.difference(feature.count(np.full(30, np.nan))) == (0.0, 1.0)


def test_dependent_rows_count_less(rng):
    values = rng.normal(size=2000)
    feature, walk = Feature.numeric("x", values), rng.normal(size=300) + 0.5
    slow = Feature(**{**vars(feature), "correlation_time": 50.0})
    fast, told = feature.difference(feature.count(walk)), slow.difference(slow.count(walk))
    assert fast.p_value < 1e-6
    assert told.p_value > 0.05


def test_a_million_rows_do_not_ring_for_nothing(rng):
    feature = Feature.numeric("x", rng.normal(size=100_000))
    found = feature.difference(feature.count(rng.normal(size=1_000_000) + 0.02))
    assert found.p_value < 0.01
    assert found.distance < 0.02


def test_the_centre_of_codes_moves_by_as_much_as_it_does(rng):
    codes = rng.normal(size=(4000, 3)) @ np.diag([1.0, 5.0, 0.1])
    latent = LatentProfile.of(codes[:2000], codes[2000:], 2000)
    still = latent.whiten(rng.normal(size=(500, 3)) @ np.diag([1.0, 5.0, 0.1]))
    assert latent.difference(still.sum(0), 500, 500).p_value > 1e-3
    moved = latent.difference((still + np.array([0, 0, 1.0])).sum(0), 500, 500)
    assert moved.distance == pytest.approx(1.0, abs=0.15)
    assert moved.p_value < 1e-20


def test_the_promise_holds_the_realised_rate():
    inside, n, k = 0, 200, 9
    for seed in range(400):
        rng = np.random.default_rng(seed)
        threshold = np.sort(rng.random(n))[n - k - 1]
        promise = Promise(0.05, float(threshold), "conformal", n, n, k, 1)
        low, high = promise.interval
        inside += low <= 1 - threshold <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_the_interval_of_a_share_is_clopper_and_pearsons():
    exact = stats.binomtest(7, 100).proportion_ci(method="exact")
    assert clopper_pearson(7, 100) == pytest.approx((exact.low, exact.high))
    assert clopper_pearson(0, 50)[0] == 0.0
    assert clopper_pearson(50, 50)[1] == 1.0


def test_a_timeline_keeps_everything_in_few_stretches(rng):
    line, tally, rows = Timeline(10), Tally(), 7_777
    uniform, alarm = rng.random(rows), rng.random(rows) < 0.1
    for places in np.array_split(np.arange(rows), 23):
        piece = Piece(uniform[places], alarm[places])
        line.add(piece)
        tally.add(piece)
    assert len(line.stretches) <= LINES
    assert sum(one.scored for one in line.stretches) == tally.scored == rows
    assert sum(one.alarms for one in line.stretches) == tally.alarms == alarm.sum()
    assert [one.first for one in line.stretches] == list(range(0, rows, line.length))
    assert line.stretches[0].quantile(0.5) == pytest.approx(np.median(uniform[: line.length]), abs=0.1)


def test_significance_is_benjamini_and_hochbergs():
    assert significant([0.001, 0.02, 0.03, 0.5], 0.05).tolist() == [True, True, True, False]
    assert not significant([0.04, 0.9, 0.9, 0.9], 0.05).any()
