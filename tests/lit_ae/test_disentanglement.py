"""MIG, SAP and DCI against codes of which the answer is known, and against cases by hand."""

import math

import pytest
import torch
from torch import Tensor

from lit_ae.metrics.disentanglement import (
    DCI,
    Rated,
    concentration,
    dci,
    mutual_information_gap,
    separated_attribute_predictability,
)

GRID = torch.cartesian_prod(torch.arange(3), torch.arange(5), torch.arange(6)).repeat(20, 1)
IS_CATEGORICAL = [True, False, False]


def scores(codes: Tensor, factors: Tensor = GRID) -> tuple[float, float, DCI]:
    rated = Rated(codes, factors)
    return (
        mutual_information_gap(codes, factors),
        separated_attribute_predictability(rated, rated, IS_CATEGORICAL),
        dci(rated, rated),
    )


def noise(columns: int, seed: int = 0) -> Tensor:
    return torch.randn(len(GRID), columns, generator=torch.Generator().manual_seed(seed))


def test_a_number_for_each_factor_is_perfect_whatever_its_place_sign_and_scale() -> None:
    axes = torch.stack([0.01 * noise(1)[:, 0], -3.0 * GRID[:, 2], 0.1 * GRID[:, 0] + 7, 100.0 * GRID[:, 1]], dim=1)
    mig, sap, parts = scores(axes)
    assert mig > 0.95
    assert sap > 0.97
    assert min(parts) > 0.99


def test_turned_and_random_codes_are_not() -> None:
    standard = (GRID - GRID.float().mean(0)) / GRID.float().std(0)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1))).Q
    for codes, bound in ((standard @ turn, 0.45), (noise(6), 0.05)):
        mig, sap, parts = scores(codes)
        assert max(mig, sap, parts.disentanglement, parts.completeness) < bound
    assert scores(standard @ turn)[2].informativeness > 0.9


def test_the_gap_of_the_mutual_information_by_hand() -> None:
    factor = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    knows = torch.tensor([0.0, 0, 0, 0, 9, 9, 9, 9])
    half = torch.tensor([0.0, 0, 1, 1, 1, 1, 2, 2])  # tells it for half of the rows: ln 2 / 2 nats
    nothing = torch.tensor([0.0, 1, 0, 1, 0, 1, 0, 1])
    assert mutual_information_gap(torch.stack([nothing, knows, half], 1), factor[:, None]) == pytest.approx(0.5)
    assert mutual_information_gap(torch.stack([half, nothing], 1), factor[:, None]) == pytest.approx(0.5)
    assert mutual_information_gap(torch.stack([knows, knows], 1), factor[:, None]) == pytest.approx(0.0)
    both = torch.stack([factor, nothing.long()], 1)
    assert mutual_information_gap(torch.stack([knows, half], 1), both) == pytest.approx(0.25)


def test_bins_are_of_equal_width() -> None:
    factor = torch.tensor([0, 1, 0, 1])[:, None]
    code = torch.tensor([0.0, 0.04, 0.96, 1.0])[:, None]
    assert mutual_information_gap(code, factor, bins=10) == pytest.approx(0.0)
    assert mutual_information_gap(code, factor, bins=40) == pytest.approx(1.0)


def test_predictability_by_hand() -> None:
    factors = torch.tensor([[0], [1], [2], [3]])
    line, crooked = torch.tensor([3.0, 2.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 3.0, 2.0])
    rated = Rated(torch.stack([line, crooked, torch.ones(4)], 1), factors)
    assert separated_attribute_predictability(rated, rated, [False]) == pytest.approx(1 - 0.8**2)
    classes = torch.tensor([[0], [0], [0], [1], [1], [2]])
    ordered, merged = torch.tensor([5.0, 5, 5, 0, 0, 9]), torch.tensor([0.0, 0, 0, 1, 1, 1])
    rated = Rated(torch.stack([ordered, merged], 1), classes)  # merged finds two of three classes: (2/3 - 1/3) / (2/3)
    assert separated_attribute_predictability(rated, rated, [True]) == pytest.approx(0.5)


def test_predictors_are_scored_on_other_rows_than_they_are_fitted_on() -> None:
    x = torch.arange(100.0)[:, None]
    fit, test = Rated(x, x.long() % 2), Rated(x + 0.1, (x.long() + 1) % 2)
    assert separated_attribute_predictability(fit, test, [True]) == 0
    assert dci(fit, test).informativeness < 0.5


def test_concentration_by_hand() -> None:
    importances = torch.tensor([[0.75, 0.25], [0.0, 0.75], [0.25, 0.0], [0.0, 0.0]])
    quarter = (-0.75 * math.log(0.75) - 0.25 * math.log(0.25)) / math.log(2)
    disentanglement = (1.0 * (1 - quarter) + 0.75 + 0.25) / 2
    completeness = 1 - quarter * math.log(2) / math.log(4)
    assert concentration(importances) == (pytest.approx(disentanglement), pytest.approx(completeness))
    assert concentration(torch.ones(3, 3)) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))
    assert concentration(torch.eye(4)) == (pytest.approx(1), pytest.approx(1))


def test_a_single_dimension_is_all_there_is() -> None:
    factor = GRID[:, [1]]
    rated = Rated(factor.float(), factor)
    assert mutual_information_gap(*rated) == pytest.approx(1.0)
    assert separated_attribute_predictability(rated, rated, [False]) == pytest.approx(1.0)
    assert dci(rated, rated) == pytest.approx((1.0, 1.0, 1.0))
