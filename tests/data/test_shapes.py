"""The synthetic shapes are what their factors say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data import Digits, Shapes
from data.base import Role
from data.shapes import ellipse, square, triangle

ROLES: tuple[Role, ...] = ("fit", "tune", "test")
DATA = Shapes()
RAW = torch.cat([DATA.rows[role].raw for role in ROLES])
FACTORS = torch.cat([DATA.rows[role].factors for role in ROLES])  # type: ignore[misc]
NAMES = list(DATA.factors)


def test_every_combination_comes_once_and_no_two_look_alike() -> None:
    sizes = [len(values) for values in DATA.factors.values()]
    assert sorted(FACTORS.tolist()) == torch.cartesian_prod(*map(torch.arange, sizes)).tolist()
    assert len(RAW.flatten(1).unique(dim=0)) == len(RAW) == 3 * 5 * 6 * 12 * 6
    assert DATA.split_sizes == {"fit": 4536, "tune": 648, "test": 1296}


def test_they_say_that_they_are_made_up_and_what_their_class_is() -> None:
    assert DATA.spec.synthetic
    assert not Digits().spec.synthetic
    assert Digits().factors == {}
    assert DATA.spec.classes == DATA.factors["shape"]
    for role in ROLES:
        rows = DATA.rows[role]
        assert rows.y is not None
        assert rows.factors is not None
        assert rows.y.equal(rows.factors[:, 0])


def test_the_first_rows_keep_their_factors() -> None:
    few = DATA.rows["fit"].take(slice(7))
    assert few.factors is not None
    assert few.factors.equal(FACTORS[:7])
    assert few.raw.equal(RAW[:7])


def test_the_factors_are_part_of_the_digest() -> None:
    again, changed = Shapes(seed=5), Shapes()
    again.rows = DATA.rows
    changed.rows = {**DATA.rows, "test": DATA.rows["test"]._replace(factors=None)}
    assert again.digest == DATA.digest != changed.digest


def test_centre_and_area_of_the_image_tell_position_and_size() -> None:
    weights = RAW.double().squeeze(1) / RAW.double().sum((1, 2, 3))[:, None, None]
    pixels = torch.arange(16) + 0.5
    centres = {"x": (weights.sum(1) * pixels).sum(1), "y": (weights.sum(2) * pixels).sum(1)}
    for name, centre in centres.items():
        expected = torch.tensor(DATA.factors[name], dtype=torch.float64)[FACTORS[:, NAMES.index(name)]]
        assert (centre - expected).abs().max() < 0.25
    unit_areas = torch.tensor([2.0, torch.pi / 2, 3 * 3**0.5 / 4])  # of the shapes within the unit circle
    area = RAW.float().sum((1, 2, 3)) / 255
    for shape, unit_area in enumerate(unit_areas):
        for size, radius in enumerate(DATA.factors["size"]):
            alike = (FACTORS[:, 0] == shape) & (FACTORS[:, 1] == size)
            assert area[alike].mean().item() == pytest.approx(unit_area.item() * float(radius) ** 2, rel=0.02)


@given(st.integers(0, len(RAW) - 1), st.integers(0, 4), st.data())
def test_a_row_changes_with_each_factor_and_with_nothing_else(row: int, place: int, draw: st.DataObject) -> None:
    changed = FACTORS[row].clone()
    changed[place] = draw.draw(st.integers(0, len(DATA.factors[NAMES[place]]) - 1))
    (found,) = (changed == FACTORS).all(1).nonzero()
    assert RAW[found].equal(RAW[row : row + 1]) == (int(found) == row)


@pytest.mark.parametrize(("shape", "degrees"), [(square, 90), (ellipse, 180), (triangle, 120)])
def test_shapes_lie_in_the_unit_circle_and_turn_into_themselves_at_no_angle_below(shape, degrees) -> None:
    radius, angle = torch.meshgrid(torch.linspace(0, 1.4, 60), torch.arange(0.37, 360, 1), indexing="ij")

    def turned(by: float) -> torch.Tensor:
        return shape(radius * (angle + by).deg2rad().cos(), radius * (angle + by).deg2rad().sin())

    assert not turned(0)[radius > 1.001].any()
    assert turned(0).equal(turned(degrees))
    assert not any(turned(0).equal(turned(by)) for by in range(15, 90, 15))
