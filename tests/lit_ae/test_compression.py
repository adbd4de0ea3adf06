"""Bits and decibels of compressed codes and images, against their definitions."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from lit_ae.metrics.compression import StaticCode, UniformQuantizer, jpeg, jpeg_at, psnr

SYMBOLS = torch.tensor([[0, 5], [0, 5], [1, 7], [3, 5]])
PHOTO = torch.from_numpy(load_sample_image("china.jpg")[:64, :96].copy()).float().permute(2, 0, 1)[None] / 255


def test_a_static_code_takes_the_logarithm_of_each_places_frequency():
    code = StaticCode(SYMBOLS)
    share = [{0: 3 / 8, 1: 2 / 8, 2: 1 / 8, 3: 2 / 8}, {5: 4 / 7, 6: 1 / 7, 7: 2 / 7}]
    said = torch.tensor([[0, 5], [2, 6], [3, 7]])
    expected = [-math.log2(share[0][a]) - math.log2(share[1][b]) for a, b in said.tolist()]
    assert code.length(said).tolist() == pytest.approx(expected, rel=1e-5)
    assert code.clamp(torch.tensor([[-4, 9]])).tolist() == [[0, 7]]


@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_a_static_code_can_be_decoded(seed: int, places: int, rows: int) -> None:
    """Kraft: at every place the shares of all symbols come to 1."""
    symbols = torch.randint(-6, 9, (rows, places), generator=torch.Generator().manual_seed(seed))
    code = StaticCode(symbols)
    for place in range(places):
        size = int(code.highest[place] - code.lowest[place]) + 1
        assert (2 ** -code.bits[place, :size].double()).sum().item() == pytest.approx(1, abs=1e-5)


@given(st.floats(0.01, 3))
@settings(max_examples=20, deadline=None)
def test_rounding_is_off_by_half_a_step_at_most(share: float) -> None:
    codes = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.0, 0.5, 1.0, 2.0]) + 3
    quantizer = UniformQuantizer(codes, share)
    rounded, bits = quantizer(codes)
    assert quantizer.step.item() == pytest.approx(share * codes.var(0).mean().sqrt().item(), rel=1e-5)
    assert (rounded - codes).abs().max() <= quantizer.step / 2 + 1e-5
    assert bits.shape == (300,)


def test_a_finer_step_takes_about_one_bit_more_a_dimension():
    """The entropy of fine steps is that of the density less log2 of the step; a dimension that is still takes none."""
    codes = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.0, 1.0])
    fine, coarse = (UniformQuantizer(codes, share)(codes)[1].mean().item() for share in (0.1, 0.2))
    step = 0.1 * codes.var(0).mean().sqrt().item()
    assert fine == pytest.approx(0.5 * math.log2(2 * math.pi * math.e) - math.log2(step), abs=0.02)
    assert fine - coarse == pytest.approx(1, abs=0.02)


def test_psnr_is_of_the_error_over_all_images():
    images = torch.rand(3, 1, 4, 4)
    others = images + torch.tensor([0.0, 0.1, 0.2]).view(3, 1, 1, 1)
    assert psnr(images, others) == pytest.approx(-10 * math.log10((0.01 + 0.04) / 3), abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows_without_its_headers(channels):
    images = PHOTO[:, :channels]
    found = jpeg(images, 60)
    level = (images[0] * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(level if channels == 3 else level[:, :, 0]).save(file, "JPEG", quality=60, subsampling=0)
    decoded = np.asarray(Image.open(file)).reshape(level.shape).astype(np.float64)
    error = decoded - 255 * images[0].permute(1, 2, 0).double().numpy()
    assert found.psnr == pytest.approx(20 * math.log10(255) - 10 * math.log10((error**2).mean()), abs=1e-3)
    whole = 8 * len(file.getvalue()) / (64 * 96)
    assert whole - 8 * 700 / (64 * 96) < found.bits_per_pixel < whole - 8 * 300 / (64 * 96)


def test_an_empty_image_takes_almost_nothing():
    """Each of the 4 blocks of 8 x 8 says "no difference, nothing more": 6 bits."""
    assert jpeg(torch.zeros(2, 1, 16, 16), 50).bits_per_pixel <= 8 * 5 / 256


def test_jpeg_at_a_psnr_is_the_cheapest_that_reaches_it():
    images = PHOTO.unfold(2, 32, 32).unfold(3, 32, 32).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    found = jpeg_at(images, 33.0)
    qualities = [jpeg(images, quality) for quality in range(1, 101)]
    assert found == next(one for one in qualities if one.psnr >= 33)
    assert jpeg_at(images, 99.0) == qualities[-1]
    assert jpeg_at(images, 1.0) == qualities[0]
