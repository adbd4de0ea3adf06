"""Tables of one's own: roles, labels, order in time, and what is counted."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import data
from data.roles import row_hashes
from lit_ae.errors import UserError

ROWS = 600


def frame(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = rng.normal(5, 2, rows).round(3)
    return pd.DataFrame(
        {
            "size": size,
            "colour": rng.choice(["red", "blue"], rows),
            "when": pd.date_range("2026-01-01", periods=rows, freq="min").astype(str),
            "pump": rng.integers(0, 20, rows),
            "label": np.where(np.arange(rows) % 10 == 0, "leak", "normal"),
        }
    )


@pytest.fixture
def csv(tmp_path: Path) -> str:
    path = tmp_path / "pumps.csv"
    frame().to_csv(path, index=False)
    return str(path)


def table(path: str, **options: Any) -> data.Table:
    made = data.Table(path, **{"ignore": ["when", "pump"], "label_column": "label", **options})
    made.setup()
    return made


def test_roles_have_their_shares_and_normals_alone_before_the_test(csv: str) -> None:
    made = table(csv)
    sizes = made.split_sizes
    assert sizes["fit"] == pytest.approx(0.6 * 0.9 * ROWS, rel=0.15)
    assert sizes["test"] == pytest.approx(0.2 * ROWS, rel=0.25)
    test = made.rows["test"]
    assert test.anomaly is not None
    assert test.family is not None
    assert 0 < test.anomaly.float().mean() < 0.25
    assert made.families == ("normal", "leak")
    assert test.family.equal(test.anomaly.long())
    for role in ("fit", "tune", "calibrate"):
        assert not made.rows[role].anomaly.any()  # type: ignore[union-attr]
    assert sum(sizes.values()) + made.left_out["anomalies outside the test rows"] == ROWS


def test_the_split_does_not_depend_on_the_order_of_the_rows(csv: str) -> None:
    before = table(csv)
    frame().sample(frac=1, random_state=1).to_csv(csv, index=False)
    after = table(csv)
    for role, rows in before.rows.items():
        assert sorted(row_hashes(rows.raw)) == sorted(row_hashes(after.rows[role].raw))


def test_equal_rows_share_a_role(tmp_path: Path) -> None:
    few = pd.DataFrame({"a": np.arange(ROWS) % 40, "b": 1.0})
    few.to_csv(tmp_path / "t.csv", index=False)
    made = data.Table(str(tmp_path / "t.csv"))
    held = [set(row_hashes(rows.raw).tolist()) for rows in made.rows.values()]
    assert sum(map(len, held)) == len(set().union(*held)) == 40
    assert sum(made.split_sizes.values()) == ROWS


def test_times_put_training_before_the_test(csv: str) -> None:
    frame().sample(frac=1, random_state=1).to_csv(csv, index=False)
    made = table(csv, time_column="when", ignore=["pump"])
    times = [made.rows[role].time for role in ("fit", "tune", "calibrate", "test")]
    for earlier, later in pairwise(times):
        assert earlier is not None
        assert later is not None
        assert earlier.diff().min() > 0
        assert earlier.max() < later.min()


def test_an_entity_has_one_role(csv: str) -> None:
    made = table(csv, entity_column="pump", ignore=["when"], seed=1)
    entities = [set(rows.entity.tolist()) for rows in made.rows.values() if rows.entity is not None]
    assert sum(map(len, entities)) == len(set().union(*entities)) == 20


def test_a_test_table_of_its_own_leaves_its_rows_out_of_the_training(csv: str, tmp_path: Path) -> None:
    part = frame()[:50]
    part.to_csv(tmp_path / "test.csv", index=False)
    made = table(csv, test_path=str(tmp_path / "test.csv"))
    assert made.split_sizes["test"] == 50
    assert made.left_out["normal rows that the test table holds too"] >= 45
    assert made.left_out["anomalies outside the test rows"] == 60


def test_scaling_is_learned_from_the_training_rows_alone(csv: str) -> None:
    made = table(csv)
    fit = made.split("fit").x[:, 0]
    assert (fit.mean().item(), fit.std(correction=0).item()) == pytest.approx((0, 1), abs=1e-5)
    column = made.spec.schema.columns[0]  # type: ignore[union-attr]
    raw = made.rows["fit"].raw[:, 0]
    assert (column.low, column.high) == (raw.min().item(), raw.max().item())
    assert made.rows["test"].raw[:, 0].max() != column.high


def test_without_labels_all_rows_are_taken_for_normal(csv: str) -> None:
    made = table(csv, label_column=None, ignore=["when", "pump", "label"])
    assert made.families == ()
    assert all(rows.anomaly is None for rows in made.rows.values())
    assert sum(made.split_sizes.values()) == ROWS


def test_what_is_peculiar_is_counted(tmp_path: Path) -> None:
    made_up = frame().assign(fixed=1.0)
    made_up.loc[::7, "size"] = np.nan
    made_up.to_csv(tmp_path / "t.csv", index=False)
    made = table(str(tmp_path / "t.csv"))
    missing = sum(count for what, count in made.noticed.items() if "missing" in what)
    left = made.left_out["anomalies outside the test rows"]
    assert missing == pytest.approx(made_up["size"].isna().sum() - left / 7, abs=8)
    assert made.noticed["constant columns"] == 1


def test_parquet_gives_the_same_rows_as_csv(csv: str, tmp_path: Path) -> None:
    pd.read_csv(csv).to_parquet(tmp_path / "t.parquet")
    first, second = table(csv), table(str(tmp_path / "t.parquet"))
    for role, rows in first.rows.items():
        assert rows.raw.equal(second.rows[role].raw)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such column": ({"label_column": "labels"}, r"pumps\.csv has no column 'labels': it has 'size'"),
    "times among the features": ({"ignore": []}, r"the column 'when' holds times: name it by data\.time_column"),
    "nothing left": ({"ignore": ["size", "colour", "when", "pump"]}, r"no column left to learn from"),
    "no time": ({"time_column": "colour", "ignore": ["when"]}, r"Row 0, column 'colour': '\w+' is no time"),
    "shares": ({"test_share": 0.9}, r"data\.tune_share, calibrate_share and test_share are 0\.1, 0\.1 and 0\.9"),
    "all anomalous": (
        {"normal": ["fine"]},
        r"no normal row to fit with \(left out: \d+ anomalies outside the test rows\)",
    ),
    "no row to tune": ({"tune_share": 0.0}, r"too few normal rows to tune with: .* raise data\.tune_share"),
    "missing": ({"missing": "drop"}, r"data\.missing is 'drop', but it must be one of mean, indicator, refuse"),
    "bad rows": ({"bad_rows": "drop"}, r"data\.bad_rows is 'drop', but it must be one of refuse, skip"),
    "delimiter": ({"delimiter": ";;"}, r"data\.delimiter is ';;', but it must be one character"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_told_in_one_sentence(mistake: str, csv: str) -> None:
    options, sentence = REFUSED[mistake]
    with pytest.raises(UserError, match=sentence) as refusal:
        table(csv, **options)
    assert "\n" not in str(refusal.value)


def test_a_test_table_without_a_column_is_refused(csv: str, tmp_path: Path) -> None:
    frame().drop(columns="size").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(UserError, match=r"test\.csv lacks the column 'size' of .*pumps\.csv: give it the same columns"):
        table(csv, test_path=str(tmp_path / "test.csv"))


def test_numbers_too_large_to_be_standardised_are_refused_unless_by_their_logarithm(tmp_path: Path) -> None:
    frame().assign(size=np.linspace(-1, 1, ROWS) * 1e307).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=r"'size' holds numbers up to 1e\+307, whose squares .* set data\.log to true"):
        _ = table(str(tmp_path / "t.csv")).spec
    made = table(str(tmp_path / "t.csv"), log=True)
    assert made.split("fit").x.isfinite().all()


def test_rows_without_a_label_are_refused(tmp_path: Path) -> None:
    frame().assign(label=[None, *["normal"] * (ROWS - 1)]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match="rows without a label in 'label'"):
        table(str(tmp_path / "t.csv"))


def test_an_example_is_a_frame_in_the_users_own_units(csv: str) -> None:
    made = table(csv)
    example = made.example(2)
    assert list(example.columns) == ["size", "colour"]
    assert made.spec.schema is not None
    assert made.spec.schema.encode(example).equal(made.rows["test"].raw[:2])
    assert torch.equal(made.spec.preprocessing.apply(made.rows["test"].raw), made.split("test").x)
