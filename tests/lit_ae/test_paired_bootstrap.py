"""The paired bootstrap against its laws, a plain loop, and simulations of what it promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lit_ae.paired_bootstrap import Difference, difference_of, drawn_rows, holm, paired_bootstrap


def mean(truth, scores):
    return float(scores.mean())


@st.composite
def judged(draw):
    size = draw(st.integers(4, 30))
    values = st.lists(st.floats(-5, 5, width=32), min_size=size, max_size=size)
    return np.zeros(size), np.array(draw(values)), np.array(draw(values))


@settings(max_examples=30)
@given(judged(), st.integers(0, 5))
def test_the_second_less_the_first_is_the_same_with_the_other_sign(rows, seed):
    truth, first, second = rows
    one = paired_bootstrap(mean, truth, first, second, resamples=60, seed=seed)
    other = paired_bootstrap(mean, truth, second, first, resamples=60, seed=seed)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low), abs=1e-9)
    assert one.p_value == other.p_value
    assert one.low <= one.high


@settings(max_examples=20)
@given(judged())
def test_a_model_does_not_differ_from_itself(rows):
    truth, first, _ = rows
    assert paired_bootstrap(mean, truth, first, first, resamples=50) == Difference(0.0, 0.0, 0.0, 1.0)


def test_a_difference_that_every_row_shows_is_sure():
    noise = np.random.default_rng(0).normal(0, 100, 50)  # far larger than the difference, but the same for both
    found = paired_bootstrap(mean, noise, noise + 0.5, noise)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))
    assert found.excludes_zero
    assert found.p_value == pytest.approx(2 / 2001)


def test_both_models_are_judged_on_the_same_draws():
    generator = np.random.default_rng(1)
    truth, first, second = generator.random(40) < 0.5, generator.normal(size=40), generator.normal(size=40)
    drawn = np.random.default_rng(7)
    rows = [drawn.integers(40, size=40) for _ in range(100)]
    expected = [roc_auc_score(truth[r], first[r]) - roc_auc_score(truth[r], second[r]) for r in rows]
    found = paired_bootstrap(roc_auc_score, truth, first, second, resamples=100, level=0.9, seed=7)
    np.testing.assert_allclose((found.low, found.high), np.quantile(expected, [0.05, 0.95]))
    assert found.difference == roc_auc_score(truth, first) - roc_auc_score(truth, second)


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=25), st.integers(0, 9))
def test_rows_of_a_block_are_drawn_together(blocks, seed):
    blocks = np.array(blocks)
    for rows in drawn_rows(len(blocks), 5, seed, blocks):
        often = np.bincount(rows, minlength=len(blocks))
        assert all(len(set(often[blocks == block])) == 1 for block in set(blocks))
        assert sum(often[blocks == block][0] for block in set(blocks)) == len(set(blocks))


def test_draws_without_a_figure_are_left_out():
    assert difference_of(1.0, [np.nan, 1.0, 1.0]) == Difference(1.0, 1.0, 1.0, 0.5 + 1 / 6)
    nothing = difference_of(1.0, [np.nan])
    assert np.isnan(nothing.low)
    assert nothing.p_value == 1.0
    assert not nothing.excludes_zero


@pytest.mark.parametrize(("size", "told", "share"), [(1, None, 0.88), (3, "blocks", 0.88), (3, None, 0.64)])
def test_the_interval_holds_the_truth_as_often_as_it_says(size, told, share):
    """300 experiments of 240 rows; rows of a block of 3 share their noise, and if drawn alone they promise too much."""
    generator, held, ids = np.random.default_rng(0), 0, np.arange(240) // size
    for seed in range(300):
        hard, noise = generator.normal(0, 3, 240), np.repeat(generator.normal(size=240 // size), size)
        blocks = ids if told else None
        found = paired_bootstrap(mean, hard, hard + 0.3 + noise, hard, 150, 0.9, seed, blocks)
        held += found.low <= 0.3 <= found.high
    assert held / 300 == pytest.approx(share, abs=0.06)  # three standard errors of 300 experiments


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="3 rows of truth and 2 of scores"):
        paired_bootstrap(mean, np.zeros(3), np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="3 rows and 2 block ids"):
        paired_bootstrap(mean, np.zeros(3), np.zeros(3), np.zeros(3), blocks=[0, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_steps_down_from_the_smallest(p_values):
    corrected = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected, values = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
        for step, index in enumerate(values):
            if p_values[index] * (len(p_values) - step) > alpha:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(corrected) if p <= alpha} == rejected
