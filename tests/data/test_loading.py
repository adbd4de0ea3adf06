"""The order of the rows, over epochs, processes and interruptions."""

from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from data.loading import BatchIndex, GlobalBatchSampler, TensorLoader, TensorSplit, draw_binary, mix
from lit_ae.batch import Batch
from lit_ae.errors import UserError

ROWS, BATCH = 21, 5  # four batches: 5, 5, 5 and 6, because the tail of one row joins the last


class Shared(NamedTuple):
    """An epoch, and the samplers of all processes that share it."""

    rows: int
    batch_size: int
    samplers: list[GlobalBatchSampler]


@st.composite
def shared_epochs(draw: st.DrawFn) -> Shared:
    world_size = draw(st.integers(1, 5))
    rows, batch_size = draw(st.integers(world_size, 200)), draw(st.integers(2 * world_size, 60))
    shuffle, seed = draw(st.booleans()), draw(st.integers(0, 2**40))
    ranks = [GlobalBatchSampler(rows, batch_size, shuffle, seed, rank, world_size) for rank in range(world_size)]
    return Shared(rows, batch_size, ranks)


@given(shared=shared_epochs(), epoch=st.integers(0, 50))
@settings(deadline=None)
def test_every_row_once_an_epoch_over_all_processes(shared: Shared, epoch: int) -> None:
    for sampler in shared.samplers:
        sampler.set_epoch(epoch)
    epochs = [list(sampler) for sampler in shared.samplers]
    assert {len(batches) for batches in epochs} == {len(shared.samplers[0])}
    seen = torch.cat([index.rows for batches in epochs for index in batches])
    assert seen.sort().values.tolist() == list(range(shared.rows))


@given(shared=shared_epochs())
@settings(deadline=None)
def test_each_process_has_two_rows_and_its_share_of_every_batch(shared: Shared) -> None:
    world_size = len(shared.samplers)
    for parts in zip(*shared.samplers, strict=True):
        sizes = [len(part.rows) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= (2 if shared.rows >= 2 * world_size else 1)
        assert sum(sizes) < shared.batch_size + 2 * world_size
        assert [part.share for part in parts] == pytest.approx([n * world_size / sum(sizes) for n in sizes])


@given(shared=shared_epochs())
@settings(deadline=None)
def test_a_global_batch_is_the_same_however_many_processes_share_it(shared: Shared) -> None:
    first = shared.samplers[0]
    alone = GlobalBatchSampler(shared.rows, shared.batch_size, first.shuffle, first.seed)
    whole = torch.cat([index.rows for index in alone])
    for number, parts in enumerate(zip(*shared.samplers, strict=True)):
        start = number * shared.batch_size
        stop = start + sum(len(part.rows) for part in parts)
        for rank, part in enumerate(parts):
            assert part.rows.tolist() == whole[start:stop][rank :: len(parts)].tolist()


def test_a_mean_times_its_share_averages_to_the_global_mean() -> None:
    x = torch.rand(ROWS, dtype=torch.float64)
    samplers = [GlobalBatchSampler(ROWS, 7, True, 3, rank, 3) for rank in range(3)]
    for parts in zip(*samplers, strict=True):
        means = torch.stack([x[part.rows].mean() * part.share for part in parts])
        assert means.mean().item() == pytest.approx(x[torch.cat([part.rows for part in parts])].mean().item())


def test_order_is_a_function_of_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int, before: tuple[int, ...] = ()) -> list[int]:
        sampler = GlobalBatchSampler(ROWS, BATCH, True, seed)
        for visited in before:
            sampler.set_epoch(visited)
            list(sampler)
        sampler.set_epoch(epoch)
        return torch.cat([index.rows for index in sampler]).tolist()

    torch.manual_seed(1)
    expected = order(seed=3, epoch=2)
    torch.manual_seed(2)
    assert order(seed=3, epoch=2, before=(0, 1)) == expected
    assert order(seed=3, epoch=1) != expected
    assert order(seed=4, epoch=2) != expected
    assert sorted(expected) == list(range(ROWS)) != expected


def test_without_shuffle_the_order_is_that_of_the_rows_in_every_epoch() -> None:
    sampler = GlobalBatchSampler(ROWS, BATCH, shuffle=False)
    for epoch in (0, 3):
        sampler.set_epoch(epoch)
        assert [index.rows.tolist() for index in sampler] == [
            [0, 1, 2, 3, 4],
            [5, 6, 7, 8, 9],
            [10, 11, 12, 13, 14],
            [15, 16, 17, 18, 19, 20],
        ]


def test_every_epoch_batch_and_process_has_a_seed_of_its_own() -> None:
    def seeds(epoch: int, rank: int) -> list[int]:
        sampler = GlobalBatchSampler(ROWS, BATCH, False, 0, rank, world_size=2)
        sampler.set_epoch(epoch)
        return [index.seed for index in sampler]

    everything = [seed for epoch in range(3) for rank in range(2) for seed in seeds(epoch, rank)]
    assert len(set(everything)) == len(everything) == 24
    assert seeds(epoch=1, rank=1) == seeds(epoch=1, rank=1)
    assert mix(1, 2, 3, 4) == 3197974782137503471


@pytest.mark.parametrize(("rows", "batch_size", "world_size"), [(10, 1, 1), (10, 3, 2), (2, 8, 3)])
def test_too_few_rows_for_the_processes_are_refused(rows: int, batch_size: int, world_size: int) -> None:
    with pytest.raises(UserError, match=r"data\.batch_size|share"):
        GlobalBatchSampler(rows, batch_size, False, world_size=world_size)


@pytest.mark.parametrize("position", range(4))
def test_a_loaded_state_goes_on_where_it_was_taken(position: int) -> None:
    reference = GlobalBatchSampler(ROWS, BATCH, True, 7)
    reference.set_epoch(2)
    iterator = iter(reference)
    for _ in range(position):
        next(iterator)
    state = reference.state_dict()
    assert state == {"epoch": 2, "position": position}

    resumed = GlobalBatchSampler(ROWS, BATCH, True, 7)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    resumed.set_epoch(2)
    assert same(list(resumed), list(iterator))
    assert len(list(resumed)) == 4  # the next iteration has the whole epoch again


def test_an_abandoned_iteration_starts_again() -> None:
    sampler = GlobalBatchSampler(ROWS, BATCH, True, 7)
    first = next(iter(sampler))
    assert same([next(iter(sampler))], [first])


def same(these: list[BatchIndex], those: list[BatchIndex]) -> bool:
    return [(i.rows.tolist(), i.share, i.seed) for i in these] == [(i.rows.tolist(), i.share, i.seed) for i in those]


def test_a_batch_holds_the_rows_that_its_index_names() -> None:
    x, y = torch.rand(ROWS, 1, 2, 2), torch.arange(ROWS)
    batch = TensorSplit(x, y)[BatchIndex(torch.tensor([4, 2]), 0.5, 0)]
    assert batch.x.equal(x[[4, 2]])
    assert batch.y is not None
    assert batch.y.tolist() == [4, 2]
    assert batch.share == 0.5
    assert TensorSplit(x)[BatchIndex(torch.tensor([4, 2]), 1.0, 0)].y is None


def test_dynamic_rows_are_drawn_anew_for_every_seed_and_alike_for_the_same() -> None:
    split = TensorSplit(torch.full((400, 16), 0.3), binarize="dynamic")
    rows = torch.arange(400)
    first, again, other = (split[BatchIndex(rows, 1.0, seed)].x for seed in (5, 5, 6))
    assert first.equal(again)
    assert not first.equal(other)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert first.mean().item() == pytest.approx(0.3, abs=0.02)


def test_black_and_white_pixels_are_never_drawn_otherwise() -> None:
    x = torch.tensor([0.0, 1.0]).repeat(10_000)
    assert draw_binary(x, seed=1).equal(x)


def test_loading_draws_nothing_from_the_global_generator() -> None:
    loader = TensorLoader(TensorSplit(torch.rand(ROWS, 3), binarize="dynamic"), GlobalBatchSampler(ROWS, BATCH, True))
    before = torch.get_rng_state()
    assert sum(len(batch.x) for batch in loader) == ROWS
    assert torch.get_rng_state().equal(before)


class Witness(L.LightningModule):
    """Learns next to nothing and writes down every batch that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: list[list[float]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append(batch.x.flatten().tolist())
        return self.layer(batch.x).mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert len(batch.x) >= 2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveEverywhere(L.Callback):
    """Checkpoints after every step, validation and epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self.save(trainer, "batch")

    def on_validation_end(self, trainer: L.Trainer, *_: object) -> None:
        self.save(trainer, "validation")

    def on_train_epoch_end(self, trainer: L.Trainer, *_: object) -> None:
        self.save(trainer, "epoch")

    def save(self, trainer: L.Trainer, moment: str) -> None:
        trainer.save_checkpoint(self.folder / f"{moment}-{trainer.global_step}.ckpt")


def fit(length: dict[str, Any], callbacks: list[L.Callback], checkpoint: Path | None = None) -> list[list[float]]:
    """What a training sees, batch by batch, from the checkpoint or from the start."""
    module, x = Witness(), torch.linspace(0, 1, ROWS).unsqueeze(1)
    train = TensorLoader(TensorSplit(x), GlobalBatchSampler(ROWS, BATCH, True, 5))
    val = TensorLoader(TensorSplit(x), GlobalBatchSampler(ROWS, BATCH, False))
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(accelerator="cpu", enable_model_summary=False, callbacks=callbacks, **quiet, **length)
    trainer.fit(module, train, val, ckpt_path=checkpoint, weights_only=True)
    return module.seen


LENGTHS: dict[str, dict[str, Any]] = {"epochs": {"max_epochs": 3}, "steps": {"max_steps": 10, "max_epochs": -1}}
BATCH_ENDS = [("batch", step) for step in range(1, 10)]
MOMENTS = [
    *[
        ("epochs", *moment)
        for moment in [*BATCH_ENDS, ("validation", 4), ("validation", 8), ("epoch", 4), ("epoch", 8)]
    ],
    *[("steps", *moment) for moment in [*BATCH_ENDS, ("validation", 4), ("validation", 8)]],
]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[list[float]], Path]]:
    """By kind of length: what was seen, and a folder of checkpoints."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in LENGTHS}
    return {kind: (fit(LENGTHS[kind], [SaveEverywhere(folder)]), folder) for kind, folder in folders.items()}


@pytest.mark.filterwarnings("ignore")
def test_every_epoch_of_a_fit_has_an_order_of_its_own(uninterrupted: dict[str, tuple[list[list[float]], Path]]) -> None:
    seen, _ = uninterrupted["epochs"]
    epochs = [[x for batch in seen[first : first + 4] for x in batch] for first in (0, 4, 8)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == torch.linspace(0, 1, ROWS).tolist() for epoch in epochs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "moment", "steps"), MOMENTS)
def test_a_fit_that_goes_on_sees_what_one_never_stopped_would_have_seen(
    uninterrupted: dict[str, tuple[list[list[float]], Path]], kind: str, moment: str, steps: int
) -> None:
    seen, folder = uninterrupted[kind]
    assert fit(LENGTHS[kind], [], folder / f"{moment}-{steps}.ckpt") == seen[steps:]
