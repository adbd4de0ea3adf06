"""What each corruption changes, and what it leaves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_ae.corruptions import GaussianNoise, LowerResolution, Masking, MissingBlocks, SaltAndPepper
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

ALL = [GaussianNoise, LowerResolution, Masking, MissingBlocks, SaltAndPepper]


def image(*shape, value_range=(0.0, 1.0)):
    return DataSpec("made up", "image", shape, Rescale(0, 1), value_range, synthetic=True)


def row(width, value_range=(0.0, 1.0), kind="table"):
    return DataSpec("made up", kind, (width,), Rescale(0, 1), value_range, synthetic=True)


def inside(x, low, high):
    """Values strictly between the ends, so that whatever is set to an end is seen to have changed."""
    return low + (high - low) * (0.1 + 0.8 * torch.rand_like(x))


ranges = st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (2.0, 5.0)])
shapes = st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9))
seeds = st.integers(0, 2**30)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ALL), shapes, ranges, seeds)
def test_shape_type_and_range_are_kept_and_x_is_left_alone(corruption, shape, value_range, seed):
    torch.manual_seed(seed)
    x = inside(torch.empty(3, *shape), *value_range)
    for given_x in (x, x.double(), x.bfloat16()):
        before = given_x.clone()
        damaged = corruption(image(*shape, value_range=value_range))(given_x)
        assert (damaged.shape, damaged.dtype) == (given_x.shape, given_x.dtype)
        assert torch.equal(given_x, before)
        assert damaged.min() >= value_range[0] - 1e-3
        assert damaged.max() <= value_range[1] + 1e-3
        assert not torch.equal(damaged, given_x)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 1), ranges, seeds)
def test_masking_sets_exactly_its_share_of_each_row(width, share, value_range, seed):
    torch.manual_seed(seed)
    x = inside(torch.empty(4, width), *value_range)
    damaged = Masking(row(width, value_range), share=share)(x)
    changed = damaged != x
    assert changed.sum(1).tolist() == [max(1, round(share * width))] * 4
    assert (damaged[changed] == value_range[0]).all()


def test_masking_takes_a_value_and_zero_where_there_is_no_range():
    x = torch.rand(2, 8) + 3
    assert (Masking(row(8), share=1.0, value=0.5)(x) == 0.5).all()
    assert (Masking(row(8, None), share=1.0)(x) == 0).all()


def test_every_feature_is_masked_equally_often_and_rows_differ():
    torch.manual_seed(0)
    masked = Masking(row(10), share=0.3)(torch.ones(4000, 10)) == 0
    assert torch.allclose(masked.double().mean(0), torch.full((10,), 0.3).double(), atol=0.03)
    assert len(masked.unique(dim=0)) == 120  # 3 of 10


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 1), ranges, seeds)
def test_salt_and_pepper_sets_its_share_to_the_ends(share, value_range, seed):
    torch.manual_seed(seed)
    x = inside(torch.empty(50, 40), *value_range)
    damaged = SaltAndPepper(row(40, value_range), share=share)(x)
    changed = damaged != x
    assert (changed.sum(1) == max(1, round(share * 40))).all()
    low, high = value_range
    assert ((damaged == low) | (damaged == high))[changed].all()


def test_salt_and_pepper_are_equally_frequent():
    torch.manual_seed(0)
    damaged = SaltAndPepper(row(40, (-1.0, 3.0)), share=1.0)(torch.zeros(500, 40))
    assert (damaged == 3).double().mean().item() == pytest.approx(0.5, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(shapes, st.floats(0.05, 1), st.floats(0.05, 1), seeds)
def test_one_missing_block_is_one_rectangle_of_its_size_in_all_channels(shape, height, width, seed):
    torch.manual_seed(seed)
    x = inside(torch.empty(5, *shape), -1, 1)
    spec = image(*shape, value_range=(-1.0, 1.0))
    missing = MissingBlocks(spec, height=height, width=width)(x) == -1
    for one in missing:
        assert (one == one[0]).all()
        rows, columns = one[0].nonzero(as_tuple=True)
        high, wide = max(1, round(height * shape[1])), max(1, round(width * shape[2]))
        assert len(rows) == high * wide
        assert rows.max() - rows.min() + 1 == high
        assert columns.max() - columns.min() + 1 == wide


def test_blocks_reach_every_place_and_several_cover_more():
    torch.manual_seed(0)
    x = torch.ones(3000, 1, 5, 4)
    one = MissingBlocks(image(1, 5, 4), height=0.4, width=0.5, value=0.0)(x) == 0
    assert one.any(0).all()
    assert len(one.flatten(1).unique(dim=0)) == 4 * 3
    three = MissingBlocks(image(1, 5, 4), blocks=3, height=0.4, width=0.5)(x) == 0
    sizes = three.flatten(1).sum(1)
    assert sizes.min() >= 4
    assert sizes.max() == 12


def test_lower_resolution_is_the_mean_of_each_square():
    x = torch.rand(3, 2, 6, 4)
    damaged = LowerResolution(image(2, 6, 4), smooth=False)(x)
    for i in range(3):
        for j in range(2):
            square = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((2, 3), keepdim=True)
            assert torch.allclose(damaged[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2], square.expand(-1, -1, 2, 2))
    smooth = LowerResolution(image(2, 6, 4), factor=3)(x)
    assert len(smooth[0, 0].unique()) > 4
    flat = torch.full_like(x, 0.3)
    assert torch.allclose(LowerResolution(image(2, 6, 4), factor=4)(flat), flat)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Masking(row(4), share=0.0), "share"),
        (lambda: Masking(row(4), value=2.0), "outside"),
        (lambda: SaltAndPepper(row(4), share=1.5), "share"),
        (lambda: SaltAndPepper(row(4, None)), "Masking"),
        (lambda: MissingBlocks(row(4)), "kind table"),
        (lambda: MissingBlocks(image(1, 4, 4), blocks=0), "block"),
        (lambda: MissingBlocks(image(1, 4, 4), width=0.0), "width"),
        (lambda: LowerResolution(row(4)), "kind table"),
        (lambda: LowerResolution(image(1, 4, 8), factor=5), "from 2 to 4"),
        (lambda: LowerResolution(image(1, 4, 8), factor=1), "factor"),
        (lambda: GaussianNoise(row(4), sigma=0.0), "sigma"),
        (lambda: GaussianNoise(row(4, kind="sequence")), "kind sequence"),
        (lambda: Masking(row(4, kind="sequence")), "kind sequence"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        wrong()
