"""The four roles: normals alone before the test, and no row in two of them."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import data
from data.base import LitData, Role, Rows
from data.roles import one_class, row_hashes, without_repeats
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

FOUR: tuple[Role, ...] = ("fit", "tune", "calibrate", "test")


class Given(LitData):
    """The rows that it is given."""

    spec = DataSpec("Given", "table", (2,), Rescale(0.0, 1.0))

    def __init__(self, loaded: dict[Role, Rows]):
        super().__init__()
        self.loaded = loaded

    def load(self) -> dict[Role, Rows]:
        return self.loaded


@st.composite
def roles_with_repeats(draw: st.DrawFn) -> dict[Role, Rows]:
    """Rows of two small whole numbers: many of them stand in several roles, or twice in one."""
    pair = st.tuples(st.integers(0, 3), st.integers(-1, 1))
    return {
        role: Rows(torch.tensor(draw(st.lists(pair, min_size=1, max_size=12)), dtype=torch.float32)) for role in FOUR
    }


@given(loaded=roles_with_repeats())
def test_no_row_stands_in_two_roles_and_none_is_lost(loaded: dict[Role, Rows]) -> None:
    apart = Given(loaded).rows
    sets = {role: {tuple(row) for row in rows.raw.tolist()} for role, rows in apart.items()}
    for role in FOUR:
        others = set().union(*(sets[other] for other in FOUR if other != role))
        assert not sets[role] & others
    assert set().union(*sets.values()) == {tuple(row) for rows in loaded.values() for row in rows.raw.tolist()}
    assert apart["test"].raw.equal(loaded["test"].raw)


@given(loaded=roles_with_repeats())
def test_what_is_left_out_is_counted(loaded: dict[Role, Rows]) -> None:
    given_data = Given(loaded)
    missing = sum(len(rows.raw) for rows in loaded.values()) - sum(given_data.split_sizes.values())
    assert sum(given_data.left_out.values()) == missing


def test_labels_and_times_stay_with_their_rows() -> None:
    raw = torch.arange(8.0).view(4, 2)
    rows = Rows(raw, *(torch.arange(4) for _ in range(6)))
    apart = without_repeats({"fit": rows, "test": Rows(raw[1:2])})["fit"]
    assert all(values.tolist() == [0, 2, 3] for values in apart[1:])
    assert apart.raw.equal(raw[[0, 2, 3]])


def test_a_hash_is_of_the_values_alone() -> None:
    raw = torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
    first, other, again = row_hashes(raw)
    assert first == again != other
    assert row_hashes(raw.view(3, 1, 2)).tolist() == [first, other, again]


def test_anomalies_among_the_normals_are_refused_by_role_and_row() -> None:
    raw, anomaly = torch.rand(5, 2), torch.tensor([False, False, True, False, True])
    loaded: dict[Role, Rows] = {role: Rows(raw + n) for n, role in enumerate(FOUR)}
    loaded["calibrate"] = Rows(raw + 9, anomaly=anomaly)
    with pytest.raises(UserError, match=r"2 of the calibrate rows .* row 2: .*normal rows alone"):
        Given(loaded).setup()
    loaded["test"], loaded["calibrate"] = loaded["calibrate"], loaded["test"]
    Given(loaded).setup()


def test_one_digit_against_the_rest() -> None:
    digits, whole = data.Digits(normal=[3]), data.Digits()
    assert digits.families == tuple("0123456789")
    test = digits.rows["test"]
    assert test.raw.equal(whole.rows["test"].raw)
    assert test.anomaly is not None
    assert test.anomaly.equal(whole.rows["test"].y != 3)
    assert test.family is not None
    assert test.family.equal(whole.rows["test"].y)  # type: ignore[arg-type]
    for role in ("fit", "tune", "calibrate"):
        rows = digits.rows[role]
        assert rows.y is not None
        assert rows.anomaly is not None
        assert set(rows.y.tolist()) == {3}
        assert not rows.anomaly.any()
    sizes, threes = digits.split_sizes, [int((whole.rows[role].y == 3).sum()) for role in ("fit", "tune")]
    assert [sizes["fit"], sizes["tune"] + sizes["calibrate"]] == threes
    assert len(digits.split("calibrate")) == sizes["calibrate"] > 0


def test_several_classes_may_be_normal() -> None:
    y = torch.arange(10)
    kept = one_class({role: Rows(torch.rand(10, 2), y) for role in ("fit", "tune", "test")}, [1, 4])
    assert kept["fit"].y is not None
    assert kept["fit"].y.tolist() == [1, 4]
    assert (kept["tune"].y.tolist(), kept["calibrate"].y.tolist()) == ([1], [4])  # type: ignore[union-attr]


@pytest.mark.parametrize("normal", [[], [10], [-1, 3], list(range(10))])
def test_classes_that_cannot_be_normal_are_refused(normal: list[int]) -> None:
    with pytest.raises(UserError, match=r"^data\.normal is "):
        data.Digits(normal=normal)


def test_data_without_normals_has_three_roles_and_says_so() -> None:
    digits = data.Digits()
    assert set(digits.rows) == {"fit", "tune", "test"}
    with pytest.raises(UserError, match=r"Digits has no normal rows to calibrate with: .*data\.normal"):
        digits.split("calibrate")


@pytest.mark.parametrize("options", [{"normal": [3]}, {"normal": [3, 4], "binarize": "dynamic"}])
def test_the_digest_knows_what_is_normal(options: dict[str, Any]) -> None:
    assert data.Digits(**options).digest != data.Digits(binarize=options.get("binarize", "none")).digest
