"""Classifiers on codes, and from few labels."""

import pytest
import torch

from lit_ae.metrics.labels import EncoderClassifier, draw_labelled
from lit_ae.metrics.probe import linear_probe_accuracy, nearest_neighbours_accuracy
from lit_ae.networks import MLP, Sizes
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

SPEC = DataSpec("made up", "table", (2,), Rescale(0, 1), synthetic=True)


def two_rings(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of the plane, and whether they lie outside the circle of radius 1.5."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(rows) % 2
    angle = 2 * torch.pi * torch.rand(rows, generator=generator)
    return (1 + y)[:, None] * torch.stack([angle.cos(), angle.sin()], 1), y


def test_neighbours_vote() -> None:
    codes, y = torch.tensor([[0.0, 0], [0, 1], [0, 2], [10, 0], [10, 1]]), torch.tensor([0, 0, 1, 1, 1])
    test = torch.tensor([[0.0, 1.9], [9, 0]])
    assert nearest_neighbours_accuracy(codes, y, test, torch.tensor([1, 1]), neighbours=1) == 1.0
    assert nearest_neighbours_accuracy(codes, y, test, torch.tensor([1, 1]), neighbours=3) == 0.5
    assert nearest_neighbours_accuracy(codes, y, test, torch.tensor([1, 1]), neighbours=99) == 1.0


def test_rings_are_told_apart_by_neighbours_and_by_no_line() -> None:
    known, judged = two_rings(200, 0), two_rings(100, 1)
    assert nearest_neighbours_accuracy(*known, *judged) == 1.0
    assert linear_probe_accuracy(*known, *judged) < 0.7


def test_a_scale_matters_only_where_it_is_kept() -> None:
    x, y = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)), torch.arange(400) % 2
    x[:, 0] = x[:, 0] * 1e-4 + 1e-3 * y
    assert linear_probe_accuracy(x, y, x, y) > 0.99
    assert linear_probe_accuracy(x, y, x, y, standardize=False) < 0.7


def test_labels_are_drawn_once_each_with_the_classes_shares() -> None:
    y = torch.arange(1000) % 10 // 7  # 700 and 300
    drawn = draw_labelled(y, 100, draw=3)
    assert len(drawn.unique()) == 100
    assert y[drawn].bincount().tolist() == [70, 30]
    assert drawn.equal(draw_labelled(y, 100, draw=3))
    assert not drawn.equal(draw_labelled(y, 100, draw=4))
    assert draw_labelled(y, 1000, draw=0).sort().values.equal(torch.arange(1000))


@pytest.mark.parametrize(("rows", "steps"), [(100, 1000), (2, 1000)])
def test_a_classifier_learns_what_its_labels_say(rows: int, steps: int) -> None:
    torch.manual_seed(0)
    classifier = EncoderClassifier(MLP(SPEC, Sizes(4, latent_parameters=2), hidden=[16], dropout=0.1), classes=2)
    x, y = two_rings(rows, 2)
    assert classifier.learn(x, y) == steps
    assert not classifier.training
    assert classifier.accuracy(x, y) == 1.0
    if rows == 100:
        assert classifier.accuracy(*two_rings(500, 3)) > 0.97
        assert classifier.accuracy(x, 1 - y) == 0.0
