"""The loading that all data sets share: tensors in memory, one indexing operation a batch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from lit_ae.batch import Batch
from lit_ae.errors import UserError
from lit_ae.randomness import mix


class BatchIndex(NamedTuple):
    """Which rows make one batch of one process.

    Attributes:
        rows: row numbers ``(N,)`` of type int64.
        share: see :class:`lit_ae.batch.Batch`.
        seed: for what is drawn at random for this batch; another one for every epoch, batch and process.
    """

    rows: Tensor
    share: float
    seed: int


class Order(Protocol):
    """Row numbers by their places in an epoch."""

    def __getitem__(self, places: slice, /) -> Tensor: ...


class GlobalBatchSampler(DistributedSampler[BatchIndex]):
    """Cuts an epoch into global batches and yields the part of each that belongs to one process.

    The order is a pure function of ``seed`` and epoch, and a global batch holds the same rows however many processes
    share it. Every row comes exactly once an epoch, all processes have equally many batches, and a tail that would
    leave a process fewer than two rows joins the batch before it. Being a ``DistributedSampler``, Lightning sets its
    epoch and leaves it as it is.

    Args:
        rows: rows of the data set.
        batch_size: rows of a global batch, over all processes.
        shuffle: whether each epoch has an order of its own; otherwise the rows come as they are stored.
        seed: of the order.
        rank: this process.
        world_size: how many processes share a global batch.

    Raises:
        UserError: if a batch, or the whole data set, is too small for so many processes.
    """

    def __init__(self, rows: int, batch_size: int, shuffle: bool, seed: int = 0, rank: int = 0, world_size: int = 1):
        if batch_size < 2 * world_size:
            raise UserError(
                f"data.batch_size is {batch_size}, but it counts the rows of all {world_size} process(es), each of "
                f"which needs two or more: set it to {2 * world_size} at least."
            )
        if rows < world_size:
            raise UserError(f"{world_size} processes cannot share {rows} row(s): use fewer processes or more rows.")
        super().__init__(range(rows), world_size, rank, shuffle, seed)  # type: ignore[arg-type]
        self._cuts = [*range(0, rows, batch_size), rows]
        if len(self._cuts) > 2 and rows - self._cuts[-2] < 2 * world_size:
            del self._cuts[-2]
        self._position, self._resumed = 0, False

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._cuts) - 1

    def __iter__(self) -> Iterator[BatchIndex]:
        self._position, self._resumed = (self._position if self._resumed else 0), False
        order = self._order()
        cuts = self._cuts[self._position :]
        for start, stop in pairwise(cuts):
            rows = order[start:stop][self.rank :: self.num_replicas]
            share = len(rows) * self.num_replicas / (stop - start)
            index = BatchIndex(rows, share, mix(self.seed, self.epoch, self._position, self.rank))
            self._position += 1
            yield index

    def set_epoch(self, epoch: int) -> None:
        """Moves to the start of ``epoch``; where it is that epoch already, the position stays."""
        if epoch != self.epoch:
            self.load_state_dict({"epoch": epoch, "position": 0})

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches have been yielded."""
        return {"epoch": self.epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next iteration goes on where ``state`` was taken."""
        self.epoch, self._position, self._resumed = state["epoch"], state["position"], True

    def _order(self) -> "Order":
        rows = self._cuts[-1]
        if not self.shuffle:
            return torch.arange(rows)
        return torch.randperm(rows, generator=torch.Generator().manual_seed(mix(self.seed, self.epoch)))


class Split(Protocol):
    """Rows that are handed out by whole batches."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: BatchIndex) -> Batch: ...

    def sampler(self, batch_size: int, shuffle: bool, seed: int, rank: int, world_size: int) -> GlobalBatchSampler:
        """The order in which its rows are handed out: see :class:`GlobalBatchSampler`."""


class TensorSplit(Dataset[Batch]):
    """Rows held in memory, in model space.

    Args:
        x: samples ``(N, *shape)``, float32.
        y: class labels ``(N,)``, int64, or None.
        binarize: "dynamic" draws every batch anew from Bernoulli(x), seeded by its :class:`BatchIndex`.
    """

    def __init__(self, x: Tensor, y: Tensor | None = None, binarize: Literal["none", "dynamic"] = "none"):
        self.x, self.y, self.binarize = x, y, binarize

    def __len__(self) -> int:
        return len(self.x)

    def sampler(self, batch_size: int, shuffle: bool, seed: int, rank: int, world_size: int) -> GlobalBatchSampler:
        """Any order will do."""
        return GlobalBatchSampler(len(self), batch_size, shuffle, seed, rank, world_size)

    def __getitem__(self, index: BatchIndex) -> Batch:
        x = self.x.index_select(0, index.rows)
        if self.binarize == "dynamic":
            x = draw_binary(x, index.seed)
        return Batch(x, None if self.y is None else self.y.index_select(0, index.rows), index.share, index.rows)


class TensorLoader(DataLoader[Batch]):
    """An ordinary DataLoader whose sampler yields whole batches, and which goes on in the middle of an epoch.

    Args:
        split: the rows.
        sampler: their order, and the part of each batch that belongs to this process.
    """

    def __init__(self, split: Split, sampler: GlobalBatchSampler):
        super().__init__(
            split,  # type: ignore[arg-type]
            batch_size=None,  # the sampler's indices are batches already
            sampler=sampler,
            collate_fn=_as_it_is,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its own, so that loading draws nothing from the global one
        )
        self._order = sampler

    def state_dict(self) -> dict[str, int]:
        """See :meth:`GlobalBatchSampler.state_dict`."""
        return self._order.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """See :meth:`GlobalBatchSampler.load_state_dict`."""
        self._order.load_state_dict(state)


def draw_binary(x: Tensor, seed: int) -> Tensor:
    """Draws from Bernoulli(x): 0 or 1, of x's shape and type, the same for the same seed."""
    return (torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < x).to(x.dtype)


def _as_it_is(batch: Any) -> Any:
    return batch
