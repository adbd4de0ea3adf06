"""Running means are those of all samples, and know when a figure went bad."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_ae.metrics.running import RunningMeans


def alone(totals: torch.Tensor) -> torch.Tensor:
    return totals


def gathered(batches: list[torch.Tensor], every: int) -> RunningMeans:
    means = RunningMeans(["a", "b"])
    for step, batch in enumerate(batches):
        means.update({"b": batch[:, 1].mean(), "a": batch[:, 0].mean()}, len(batch), step)
        if step % every == 0:
            means.gather()
    return means


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 9))
def test_they_are_the_means_over_all_samples(sizes: list[int], every: int) -> None:
    batches = [torch.rand(size, 2) for size in sizes]
    whole = torch.cat(batches).mean(0)
    means = gathered(batches, every)
    assert list(means.compute(alone).values()) == pytest.approx(whole.tolist(), rel=1e-5)
    means.reset()
    means.update({"a": torch.tensor(1.0), "b": torch.tensor(2.0)}, 3, 0)
    assert means.compute(alone) == {"a": 1.0, "b": 2.0}


def test_two_processes_see_what_one_sees() -> None:
    parts = [torch.rand(3, 2), torch.rand(7, 2)]
    other = gathered(parts[1:], 1)
    totals: list[torch.Tensor] = []
    other.compute(lambda t: totals.append(t) or t)
    both = gathered(parts[:1], 1).compute(lambda t: t + totals[0])
    assert list(both.values()) == pytest.approx(torch.cat(parts).mean(0).tolist(), rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_bad_step_and_figure_are_found_however_late_one_looks(bad: float) -> None:
    means = RunningMeans(["a", "b"])
    for step, b in enumerate([1.0, bad, 2.0]):
        means.update({"a": torch.tensor(1.0 if step < 2 else bad), "b": torch.tensor(b)}, 4, step)
    assert means.waiting == 3
    assert means.gather() == (1, "b")
    assert means.waiting == 0
    assert means.gather() == (1, "b")


def test_what_waits_holds_no_graph() -> None:
    weight = torch.ones((), requires_grad=True)
    means = RunningMeans(["a"])
    means.update({"a": weight * 2}, 1, 0)
    assert not any(figure.requires_grad for figures, *_ in means._waiting for figure in figures)
    assert means.compute(alone) == {"a": 2.0}
