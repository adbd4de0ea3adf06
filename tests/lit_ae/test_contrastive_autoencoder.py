"""NT-Xent by hand, its negatives, and what augmentations may do."""

import math
from functools import partial

import pytest
import torch

from data import Digits
from lit_ae.augmentations import FeatureCorruption, ImageViews, SeriesViews, usual_for
from lit_ae.contrast import nt_xent
from lit_ae.errors import UserError
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import ContrastiveAutoencoder


def spec(kind, shape, value_range=None):
    return DataSpec("made up", kind, shape, Rescale(0, 1), value_range, synthetic=True)


def by_hand(views, temperature):
    """Equation 1 of Chen et al. 2020, pair by pair, without one vectorised step."""
    points = [*views[0].tolist(), *views[1].tolist()]
    count = len(points) // 2

    def similarity(i, j):
        dot = sum(a * b for a, b in zip(points[i], points[j], strict=True))
        return dot / math.hypot(*points[i]) / math.hypot(*points[j]) / temperature

    def cost(i, j):
        return -similarity(i, j) + math.log(sum(math.exp(similarity(i, k)) for k in range(2 * count) if k != i))

    return [0.5 * (cost(n, n + count) + cost(n + count, n)) for n in range(count)]


def test_two_samples_at_right_angles():
    """Each view sees its twin (1), and both views of the other sample (0 each)."""
    views = torch.tensor([[[2.0, 0.0], [0.0, 5.0]], [[0.1, 0.0], [0.0, 1.0]]])
    expected = -1 / 0.5 + math.log(math.exp(1 / 0.5) + 2)
    assert nt_xent(views, 0.5).tolist() == pytest.approx([expected, expected])


@pytest.mark.parametrize("temperature", [0.07, 0.5, 3.0])
def test_it_is_equation_1(temperature):
    views = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert nt_xent(views, temperature).tolist() == pytest.approx(by_hand(views, temperature))


def test_a_view_is_no_negative_of_itself():
    """One sample alone has no negatives at all, so it costs nothing, however unlike its views are."""
    assert nt_xent(torch.randn(2, 1, 4), 0.1).item() == pytest.approx(0.0, abs=1e-6)


def test_shares_of_a_pool_see_what_the_whole_sees():
    """As over processes: one has a row less, and fills up with zeros that must not count."""
    views = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(2))
    filled = torch.cat([views, torch.zeros(2, 1, 4)], 1)
    real = torch.arange(8) < 7
    parts = [nt_xent(views[:, :4], 0.3, filled, real, 0), nt_xent(views[:, 4:], 0.3, filled, real, 4)]
    assert torch.allclose(torch.cat(parts), nt_xent(views, 0.3), atol=1e-6)


def test_the_variants_term_is_nt_xent_of_two_views_projections():
    torch.manual_seed(0)
    model = ContrastiveAutoencoder(Digits().spec, latent_dim=5, temperature=0.2, projection=6, contrastive=3.0)
    x = torch.rand(9, 1, 8, 8)
    passed = model.forward_pass(x, x)
    torch.manual_seed(1)
    terms = model.terms(passed)
    torch.manual_seed(1)
    first, second = model.augmentation(x), model.augmentation(x)
    assert not torch.equal(first, second)
    views = torch.stack([model.head(model.encode(first)), model.head(model.encode(second))])
    assert terms["contrastive"].tolist() == pytest.approx(by_hand(views, 0.2), abs=1e-4)
    assert model.weights["contrastive"].final == 3.0


def test_its_codes_tell_samples_apart_by_their_views():
    torch.manual_seed(0)
    model = ContrastiveAutoencoder(Digits().spec, latent_dim=8, network=partial(MLP, hidden=[64]), temperature=0.2)
    x = Digits().split("fit").x[:200]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    costs = []
    for _ in range(60):
        term = model.terms(model.forward_pass(x, x))["contrastive"].mean()
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
        costs.append(term.item())
    assert costs[-1] < 0.8 * costs[0]


@pytest.mark.parametrize("make", [
    lambda: ImageViews(spec("image", (3, 6, 9), (-1.0, 1.0))),
    lambda: FeatureCorruption(spec("table", (7,))),
    lambda: SeriesViews(spec("series", (12, 2), (0.0, 1.0))),
    lambda: SeriesViews(spec("series", (12,))),
])  # fmt: skip
def test_views_differ_keep_shape_and_range_and_leave_x_alone(make):
    augmentation = make()
    shape = {"ImageViews": (3, 6, 9), "FeatureCorruption": (7,)}.get(type(augmentation).__name__, (12,))
    shape = (12, 2) if augmentation.value_range == (0.0, 1.0) else shape
    for dtype in (torch.float32, torch.float64):
        x = torch.rand(20, *shape, dtype=dtype)
        before = x.clone()
        first, second = augmentation(x), augmentation(x)
        assert first.shape == x.shape
        assert first.dtype == dtype
        assert not torch.equal(first, second)
        assert torch.equal(x, before)
        if augmentation.value_range:
            low, high = augmentation.value_range
            assert low <= first.min() <= first.max() <= high


def test_a_whole_image_unmoved_is_the_image():
    x = torch.rand(5, 1, 7, 4)
    still = ImageViews(spec("image", (1, 7, 4), (0.0, 1.0)), crop=1.0, shift=0.0, noise=0.0, erase=0.0)
    assert torch.allclose(still(x), x, atol=1e-5)
    half = ImageViews(spec("image", (1, 8, 8), (0.0, 1.0)), crop=1.0, shift=0.0, noise=0.0, erase=0.5)
    assert (half(torch.ones(5, 1, 8, 8)) == 0).sum((1, 2, 3)).tolist() == [16] * 5


def test_a_whole_series_is_the_series_and_a_part_of_a_line_is_a_line():
    line = torch.linspace(0, 1, 20).repeat(6, 1)
    assert torch.allclose(SeriesViews(spec("series", (20,)), crop=1.0, jitter=0.0)(line), line, atol=1e-6)
    parts = SeriesViews(spec("series", (20,)), crop=0.5, jitter=0.0)(line)
    slopes = parts.diff(dim=1)
    assert torch.allclose(slopes, slopes[:, :1].expand_as(slopes), atol=1e-5)
    assert (parts[:, -1] - parts[:, 0]).min() >= 0.5 - 1e-5
    assert parts.min() >= 0
    assert parts.max() <= 1


def test_corrupted_cells_come_from_the_same_column_in_their_share():
    x = torch.arange(4000.0).view(500, 8) % 8 + torch.arange(500.0)[:, None] * 8
    view = FeatureCorruption(spec("table", (8,)), share=0.4)(x)
    assert torch.equal(view % 8, x % 8)
    assert (view != x).float().mean() == pytest.approx(0.4, abs=0.03)


def test_each_kind_of_data_has_its_usual_augmentation_and_others_are_refused():
    usual = {kind: usual_for(kind) for kind in ("image", "table", "series", "sequence")}
    assert usual == {
        "image": ImageViews, "table": FeatureCorruption, "series": SeriesViews, "sequence": FeatureCorruption,
    }  # fmt: skip
    with pytest.raises(UserError, match="leave out"):
        ImageViews(spec("table", (5,)))
    with pytest.raises(UserError, match="temperature"):
        ContrastiveAutoencoder(Digits().spec, temperature=0.0)
    for wrong in (partial(ImageViews, crop=0.0), partial(FeatureCorruption, share=1.0)):
        with pytest.raises(UserError, match="needs"):
            wrong(spec("image", (1, 4, 4)))
    with pytest.raises(UserError, match="SeriesViews needs"):
        SeriesViews(spec("series", (9,)), jitter=-1.0)
