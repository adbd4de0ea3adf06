"""How sets of images are compared, against closed forms and a computation row by row."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from lit_ae.metrics.samples import frechet_distance, inside, precision_and_recall


def normal(rows: int, dimensions: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, dimensions, generator=torch.Generator().manual_seed(seed))


def test_the_frechet_distance_is_that_of_the_moments():
    one, other = normal(200, 4, 0) @ normal(4, 4, 1), normal(150, 4, 2) @ normal(4, 4, 3) + 0.7
    means, covariances = [x.mean(0).numpy() for x in (one, other)], [np.cov(x.double().numpy().T) for x in (one, other)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-5)


@given(st.floats(-3, 3), st.floats(0.1, 4))
@settings(max_examples=20, deadline=None)
def test_the_frechet_distance_of_a_shift_and_a_scale(shift: float, scale: float) -> None:
    """Along each of D dimensions of variance v: shift² + (scale - 1)² v."""
    one = normal(60, 3, 5)
    centred = one - one.mean(0)
    variance = centred.double().var(0).sum().item()
    assert frechet_distance(centred, centred * scale + shift) == pytest.approx(
        3 * shift**2 + (scale - 1) ** 2 * variance, abs=1e-4
    )


def inside_by_hand(manifold, points, k):
    rows = [np.array(row) for row in manifold.tolist()]
    radius = [sorted(np.linalg.norm(row - other) for other in rows)[k] for row in rows]
    return [
        any(np.linalg.norm(np.array(p) - r) <= d for r, d in zip(rows, radius, strict=True)) for p in points.tolist()
    ]


@given(st.integers(0, 99), st.integers(5, 30), st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_inside_a_manifold_is_inside_a_ball_of_any_of_its_rows(seed: int, rows: int, points: int) -> None:
    manifold, others = normal(rows, 3, seed), 1.5 * normal(points, 3, seed + 100)
    assert inside(manifold, others, 3).tolist() == inside_by_hand(manifold, others, 3)


def test_precision_is_of_the_samples_and_recall_of_the_data():
    """Five of ten modes, all of them right; then the same modes, and as many samples again that are nowhere near."""
    modes = torch.arange(10.0)[:, None] * 100
    data = (modes[:, None] + normal(10 * 40, 2, 0).view(10, 40, 2)).flatten(0, 1)
    half = (modes[:5, None] + normal(5 * 40, 2, 1).view(5, 40, 2)).flatten(0, 1)
    precision, recall = precision_and_recall(data, half)
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)
    precision, _ = precision_and_recall(data, torch.cat([half, half - 1e4]))
    assert precision == pytest.approx(0.5, abs=0.05)


def test_rows_that_are_drawn_alike_are_precise_and_recalled():
    precision, recall = precision_and_recall(normal(1500, 2, 0), normal(1500, 2, 1))
    assert min(precision, recall) > 0.9
