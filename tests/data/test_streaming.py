"""Rows on disk: the same rows, each once an epoch, however many processes share them and wherever one stopped."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import data
from data import streaming
from data.streaming import GroupedOrder, GroupedSampler, RowWriter, StreamedRows
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale

ROWS = 1000


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "GROUP", 64)


@pytest.fixture
def csv(tmp_path: Path) -> str:
    path = tmp_path / "t.csv"
    rng = np.random.default_rng(0)
    label = np.where(np.arange(ROWS) % 20 == 0, "odd", "normal")
    pd.DataFrame({"a": np.arange(ROWS), "b": rng.choice(["x", "y"], ROWS), "label": label}).to_csv(path, index=False)
    return str(path)


def table(csv: str, stream: bool = True, rank: int = 0, world_size: int = 1, **options: Any) -> data.Table:
    staging = str(Path(csv).parent / "staged")
    shape = {"label_column": "label", "batch_size": 50, "seed": 3, "shuffle_rows": 256, **options}
    made = data.Table(csv, stream=stream, staging=staging, **shape)
    made.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)  # type: ignore[assignment]
    made.setup()
    return made


def values(batches: Any) -> list[tuple[float, ...]]:
    return [tuple(row) for batch in batches for row in batch.x.tolist()]


def test_streamed_rows_are_those_in_memory(csv: str) -> None:
    streamed, held = table(csv), table(csv, stream=False)
    assert streamed.split_sizes == held.split_sizes
    assert streamed.spec.to_dict() == held.spec.to_dict()
    assert (streamed.families, streamed.left_out) == (held.families, held.left_out)
    seen = values(streamed.train_dataloader())
    assert Counter(seen) == Counter(values(held.train_dataloader()))
    assert seen != [tuple(row) for row in held.split("fit").x.tolist()]
    for role in ("tune", "calibrate", "test"):
        assert streamed.split(role).x.equal(held.split(role).x)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_global_batch(csv: str, world_size: int) -> None:
    alone = list(table(csv).train_dataloader())
    shared = [list(table(csv, rank=rank, world_size=world_size).train_dataloader()) for rank in range(world_size)]
    for whole, *parts in zip(alone, *shared, strict=True):
        assert Counter(values([whole])) == Counter(values(parts))
        assert sum(part.share for part in parts) == pytest.approx(world_size)


@pytest.mark.parametrize("position", [1, 7])
def test_a_resumed_epoch_goes_on_where_it_stopped(csv: str, position: int) -> None:
    first = table(csv)
    iterator = iter(first.train_dataloader())
    for _ in range(position):
        next(iterator)
    state = first.state_dict()
    resumed = table(csv)
    resumed.load_state_dict(state)
    assert values(resumed.train_dataloader()) == values(iterator)


def test_every_epoch_has_an_order_of_its_own(csv: str) -> None:
    loader = table(csv).train_dataloader()
    epochs = []
    for epoch in (0, 1, 0):
        loader.load_state_dict({"epoch": epoch, "position": 0})
        epochs.append(values(loader))
    assert epochs[0] == epochs[2] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1])


def test_a_table_is_staged_once_and_anew_when_it_has_changed(csv: str) -> None:
    before = table(csv)
    staged = Path(csv).parent / "staged"
    assert len([path for path in staged.iterdir() if path.is_dir()]) == 1
    assert table(csv).digest == before.digest
    assert len([path for path in staged.iterdir() if path.is_dir()]) == 1
    changed = pd.read_csv(csv)
    changed.loc[1, "a"] = -5
    changed.to_csv(csv, index=False)
    assert table(csv).digest != before.digest


def test_a_table_that_is_wrong_leaves_nothing_half_staged(csv: str) -> None:
    with Path(csv).open("a") as file:
        file.write("1\n")
    with pytest.raises(UserError, match=r"line 1002 has 1 field"):
        table(csv)
    assert [path.suffix for path in (Path(csv).parent / "staged").iterdir()] == [".lock"]


def test_roles_in_memory_are_bounded_even_samples(csv: str) -> None:
    made = table(csv, held_out_rows=30)
    assert made.split_sizes["fit"] > 500
    assert [made.split_sizes[role] for role in ("tune", "calibrate", "test")] == [30, 30, 30]
    whole = table(csv, stream=False).split_sizes
    assert made.left_out["test rows beyond data.held_out_rows"] == whole["test"] - 30
    assert len(made.split("fit")) == 30
    assert made.rows["test"].raw[:, 0].std() > ROWS / 6


def test_streamed_times_must_be_in_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    pd.DataFrame({"a": np.arange(100.0), "t": [*range(50), *range(50)]}).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"t\.csv is not in the order of 't'"):
        table(str(path), label_column=None, time_column="t")


def test_few_row_groups_are_in_memory_and_each_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RowWriter(tmp_path / "t.parquet", 2)
    for start in range(0, 640, 100):
        writer.write(torch.arange(start, min(start + 100, 640)).double()[:, None].repeat(1, 2))
    writer.close()
    rows = StreamedRows(tmp_path / "t.parquet", Rescale(0.0, 1.0), shuffle_rows=200)
    assert (len(rows), rows.groups, rows.together) == (640, [64] * 10, 3)
    read: list[int] = []
    original = rows._file.read_row_group
    monkeypatch.setattr(rows.__dict__["_file"], "read_row_group", lambda n, **k: read.append(n) or original(n, **k))
    seen = []
    for index in rows.sampler(50, True, 0, 0, 1):
        seen += rows[index].x[:, 0].tolist()
        assert len(rows._held) <= 3
    assert sorted(seen) == list(range(640))
    assert sorted(read) == list(range(10))


@given(
    groups=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    together=st.integers(1, 5),
    seed=st.integers(0, 2**40),
    cuts=st.lists(st.integers(0, 108)),
)
@settings(deadline=None, max_examples=50)
def test_an_order_is_a_permutation_however_it_is_cut(
    groups: list[int], together: int, seed: int, cuts: list[int]
) -> None:
    total = sum(groups)
    order = GroupedOrder(groups, together, seed)
    whole = order[0:total]
    assert sorted(whole.tolist()) == list(range(total))
    edges = sorted({0, total, *(cut for cut in cuts if cut < total)})
    pieces = [order[start:stop] for start, stop in pairwise(edges)]
    assert torch.cat(pieces).equal(whole)


def test_without_shuffle_the_rows_come_in_order() -> None:
    sampler = GroupedSampler([3, 4], 1, 4, shuffle=False)
    assert torch.cat([index.rows for index in sampler]).tolist() == list(range(7))
