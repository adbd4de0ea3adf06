"""Windows over series: none looks ahead, none holds rows of two entities, and the roles are apart in time."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import data
from lit_ae.errors import UserError
from lit_ae.windows import window_rows

ROWS = 400


@given(
    entity=st.lists(st.integers(0, 3), max_size=40), steps=st.integers(1, 6), stride=st.integers(1, 4)
)  # fmt: skip
@settings(deadline=None)
def test_windows_are_those_of_a_slow_search(entity: list[int], steps: int, stride: int) -> None:
    expected = []
    for one in set(entity):
        rows = [row for row, whose in enumerate(entity) if whose == one]
        expected += [rows[start : start + steps] for start in range(0, len(rows) - steps + 1, stride)]
    found = window_rows(torch.tensor(entity, dtype=torch.int64), steps, stride)
    assert sorted(found.tolist()) == sorted(expected)


def frame(pumps: int = 2) -> pd.DataFrame:
    """Rows whose first number is their place in their pump's time order."""
    parts = []
    for pump in range(pumps):
        when = pd.date_range("2026-01-01", periods=ROWS, freq="s") + pd.Timedelta(pump, "ms")
        leaks = (np.arange(ROWS) % 97 == 50) | (np.arange(ROWS) > ROWS - 20)
        parts.append(
            pd.DataFrame({"place": np.arange(ROWS, dtype=float), "when": when, "pump": f"p{pump}", "leak": leaks})
        )
    return pd.concat(parts).sample(frac=1, random_state=0)


@pytest.fixture
def csv(tmp_path: Path) -> str:
    frame().to_csv(tmp_path / "t.csv", index=False)
    return str(tmp_path / "t.csv")


def series(csv: str, **options: Any) -> data.Series:
    shape = {"window": 8, "label_column": "leak", "entity_column": "pump", **options}
    made = data.Series(csv, "when", **shape)
    made.setup()
    return made


def test_windows_follow_time_and_belong_to_one_entity(csv: str) -> None:
    made = series(csv)
    for rows in made.rows.values():
        assert rows.raw.shape[1:] == (8, 1)
        assert (rows.raw[:, 1:] - rows.raw[:, :-1]).eq(1).all()
        assert rows.entity is not None
        assert set(rows.entity.tolist()) == {0, 1}


def test_roles_are_apart_by_a_window_and_come_in_order(csv: str) -> None:
    made = series(csv)
    used = {role: set(rows.raw[:, -1, 0].int().tolist()) for role, rows in made.rows.items()}
    held = {role: set(rows.raw.flatten().int().tolist()) for role, rows in made.rows.items()}
    names = list(used)
    for earlier, later in pairwise(names):
        assert min(used[later]) - max(used[earlier]) > 8
        assert not held[earlier] & held[later]
    assert min(used["test"]) == 0.8 * ROWS
    assert made.left_out["rows of gaps between roles"] == 2 * 3 * 8


def test_windows_before_the_test_hold_no_anomaly_and_a_label_is_the_last_rows(csv: str) -> None:
    made = series(csv)
    leaks = torch.from_numpy((np.arange(ROWS) % 97 == 50) | (np.arange(ROWS) > ROWS - 20))
    for role, rows in made.rows.items():
        places = rows.raw[..., 0].long()
        assert rows.anomaly is not None
        assert rows.anomaly.equal(leaks[places[:, -1]])
        if role != "test":
            assert not leaks[places].any()
    assert made.left_out["fit windows that hold an anomaly"] == 2 * 2 * 8
    assert made.rows["test"].anomaly.any()  # type: ignore[union-attr]


def test_the_future_of_a_row_changes_nothing_of_its_window(csv: str) -> None:
    before = series(csv)
    changed = frame()
    changed.loc[changed["place"] > 350, "place"] += 1000
    changed.to_csv(csv, index=False)
    after = series(csv)
    is_early = before.rows["test"].raw[:, -1, 0] <= 350
    assert is_early.any()
    assert before.rows["test"].raw[is_early].equal(after.rows["test"].raw[is_early])
    assert before.spec.to_dict() == after.spec.to_dict()


def test_a_fleet_is_split_by_entity(tmp_path: Path) -> None:
    frame(30).to_csv(tmp_path / "t.csv", index=False)
    made = series(str(tmp_path / "t.csv"), split_by="entity")
    entities = [set(rows.entity.tolist()) for rows in made.rows.values() if rows.entity is not None]
    assert sum(map(len, entities)) == len(set().union(*entities)) <= 30
    assert "rows of gaps between roles" not in made.left_out


def test_single_rows_and_strides(csv: str) -> None:
    rows, whole, thin = series(csv, window=1), series(csv), series(csv, stride=4)
    assert rows.spec.shape == (1,)
    assert rows.spec.kind == "table"
    assert (whole.spec.shape, whole.spec.kind) == ((8, 1), "series")
    assert thin.split_sizes["fit"] == pytest.approx(whole.split_sizes["fit"] / 4, rel=0.1)
    assert thin.split_sizes["test"] == whole.split_sizes["test"]


def test_scaling_is_learned_from_training_rows_that_are_normal(csv: str) -> None:
    made = series(csv)
    column = made.spec.schema.columns[0]  # type: ignore[union-attr]
    assert (column.low, column.high) == (0.0, 0.6 * ROWS - 9)
    assert len(made.example()) == 8


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "window": ({"window": 300}, r"data\.window is 300 and the longest series has 400 rows; make the window shorter"),
    "split": ({"split_by": "row"}, r"data\.split_by is 'row', but it must be one of time, entity"),
    "stream": ({"stream": True}, r"Series holds its rows in memory: set data\.stream to false"),
    "no entity": ({"split_by": "entity", "entity_column": None}, r"no column says which row is whose"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_told_in_one_sentence(mistake: str, csv: str) -> None:
    options, sentence = REFUSED[mistake]
    if mistake == "no entity":
        options = {**options, "ignore": ["pump"]}
    with pytest.raises(UserError, match=sentence):
        series(csv, **options)
