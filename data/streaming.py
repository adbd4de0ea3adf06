"""Training rows that stay on disk, read by row groups (pyarrow) in an order that mixes them anew every epoch."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from data.loading import BatchIndex, GlobalBatchSampler, Order
from lit_ae.batch import Batch
from lit_ae.preprocessing import Preprocessing
from lit_ae.randomness import mix

GROUP = 1 << 14  # rows of a row group


class RowWriter:
    """Writes rows ``(N, columns)``, float64, to a Parquet file, in row groups of 16,384.

    Args:
        path: where to.
        columns: how many there are.
    """

    def __init__(self, path: Path, columns: int):
        self._schema = pa.schema([(f"c{at}", pa.float64()) for at in range(columns)])
        self._writer = pq.ParquetWriter(path, self._schema, use_dictionary=False)
        self._waiting: list[NDArray[np.float64]] = []

    def write(self, raw: Tensor) -> None:
        """Takes rows; whole groups of them go to disk."""
        self._waiting.append(raw.numpy())
        if sum(map(len, self._waiting)) >= GROUP:
            rows = np.concatenate(self._waiting)
            whole = len(rows) // GROUP * GROUP
            for start in range(0, whole, GROUP):
                self._write(rows[start : start + GROUP])
            self._waiting = [rows[whole:].copy()]

    def close(self) -> None:
        """Writes what is left."""
        rest = np.concatenate(self._waiting) if self._waiting else np.empty((0, len(self._schema)))
        if len(rest):
            self._write(rest)
        self._writer.close()

    def _write(self, rows: NDArray[np.float64]) -> None:
        self._writer.write_table(pa.table(list(rows.T), schema=self._schema), row_group_size=GROUP)


class StreamedRows(Dataset[Batch]):
    """Rows of a staged Parquet file, in model space; a few row groups at a time are held in memory.

    Args:
        path: what :class:`RowWriter` has written.
        preprocessing: from the user's units to model space.
        shuffle_rows: rows that are mixed with each other, and held in memory.
    """

    def __init__(self, path: Path, preprocessing: Preprocessing, shuffle_rows: int):
        self.path, self._preprocessing = path, preprocessing
        meta = pq.read_metadata(path)
        self.groups = [meta.row_group(at).num_rows for at in range(meta.num_row_groups)]
        self._starts = torch.tensor([0, *np.cumsum(self.groups)])
        self.together = max(1, shuffle_rows // GROUP)
        self._held: OrderedDict[int, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def sampler(self, batch_size: int, shuffle: bool, seed: int, rank: int, world_size: int) -> GlobalBatchSampler:
        """The order of the rows that keeps to few row groups at a time."""
        return GroupedSampler(self.groups, self.together, batch_size, shuffle, seed, rank, world_size)

    def __getitem__(self, index: BatchIndex) -> Batch:
        group = torch.searchsorted(self._starts, index.rows, right=True) - 1
        x: Tensor | None = None
        for number in self._held_first(group.unique().tolist()):
            rows = self._group(number)
            x = rows.new_empty(len(index.rows), *rows.shape[1:]) if x is None else x
            x[group == number] = rows[index.rows[group == number] - self._starts[number]]
        assert x is not None
        return Batch(x, None, index.share, index.rows)

    def _held_first(self, numbers: list[int]) -> list[int]:
        return sorted(numbers, key=lambda number: number not in self._held)

    def _group(self, number: int) -> Tensor:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        while len(self._held) >= self.together:
            self._held.popitem(last=False)
        columns = self._file.read_row_group(number, use_threads=False).columns
        raw = torch.from_numpy(np.stack([column.to_numpy() for column in columns], axis=1))
        self._held[number] = self._preprocessing.apply(raw)
        return self._held[number]

    @cached_property
    def _file(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, pre_buffer=False)


class GroupedSampler(GlobalBatchSampler):
    """An order of the rows in which only a few row groups are needed at a time.

    The row groups come in an order of the epoch's own, a few of them together, and the rows of those are mixed. All
    else is as with rows in memory: each row comes once an epoch over all processes, a global batch is the same however
    many of them share it, and an interrupted epoch goes on where it stopped.

    Args:
        groups: rows of each row group.
        together: row groups whose rows are mixed.
        batch_size: rows of a global batch, over all processes.
        shuffle: whether each epoch has an order of its own.
        seed: of the order.
        rank: this process.
        world_size: how many processes share a global batch.
    """

    def __init__(
        self,
        groups: Sequence[int],
        together: int,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__(sum(groups), batch_size, shuffle, seed, rank, world_size)
        self._groups, self._together = groups, together

    def _order(self) -> Order:
        if not self.shuffle:
            return super()._order()
        return GroupedOrder(self._groups, self._together, mix(self.seed, self.epoch))


class GroupedOrder:
    """A permutation of rows that is computed as far as it is looked at.

    Args:
        groups: rows of each row group.
        together: row groups whose rows are mixed.
        seed: of the permutation.
    """

    def __init__(self, groups: Sequence[int], together: int, seed: int):
        sizes = torch.tensor(groups)
        self._firsts = sizes.cumsum(0) - sizes
        self._sizes, self._seed = sizes, seed
        order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
        self._mixed = order.split(together)
        self._ends = torch.stack([sizes[groups].sum() for groups in self._mixed]).cumsum(0).tolist()
        self._last: tuple[int, Tensor] = (-1, torch.empty(0))

    def __getitem__(self, places: slice) -> Tensor:
        """The row numbers at these places (start and stop, without a step)."""
        pieces, start = [], 0
        for at, end in enumerate(self._ends):
            if start < places.stop and end > places.start:
                pieces.append(self._rows(at)[max(places.start - start, 0) : places.stop - start])
            start = end
        return torch.cat(pieces)

    def _rows(self, at: int) -> Tensor:
        if self._last[0] != at:
            groups = self._mixed[at]
            rows = [
                torch.arange(first, first + size)
                for first, size in zip(self._firsts[groups], self._sizes[groups], strict=True)
            ]
            mixed = torch.randperm(sum(map(len, rows)), generator=torch.Generator().manual_seed(mix(self._seed, at)))
            self._last = (at, torch.cat(rows)[mixed])
        return self._last[1]
