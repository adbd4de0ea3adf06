"""The mutual information of code and input against cases with a closed form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from lit_ae.latents import DiagonalGaussian
from lit_ae.metrics.information import mutual_information


def test_codes_that_overlap_nowhere_tell_the_row() -> None:
    latent = DiagonalGaussian(100.0 * torch.arange(37.0)[:, None].expand(37, 2), torch.full((37, 2), -1.0))
    assert mutual_information(latent, latent.sample(3)).item() == pytest.approx(math.log(37))


def test_codes_that_are_all_alike_tell_nothing() -> None:
    latent = DiagonalGaussian(torch.full((50, 3), 5.0), torch.full((50, 3), 2.0))
    assert mutual_information(latent, latent.sample()).item() == pytest.approx(0.0, abs=1e-5)


def test_a_gaussian_channel_has_its_capacity() -> None:
    torch.manual_seed(0)
    signal, noise = 3.0, 0.5
    latent = DiagonalGaussian(signal * torch.randn(4000, 1), torch.full((4000, 1), 2 * math.log(noise)))
    capacity = 0.5 * math.log(1 + (signal / noise) ** 2)
    assert mutual_information(latent, latent.sample(2)).item() == pytest.approx(capacity, abs=0.05)


@given(st.integers(2, 20), st.integers(1, 4), st.integers(1, 3), st.integers(1, 30), st.integers(0, 2**31))
def test_it_is_the_mean_log_ratio_to_the_mixture(rows: int, width: int, draws: int, at_once: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean, log_var = 3 * torch.randn(2, rows, width, generator=generator).double()
    latent = DiagonalGaussian(mean, log_var)
    z = latent.sample(draws)
    parts = Independent(Normal(mean, (0.5 * log_var).exp()), 1)
    aggregate = MixtureSameFamily(Categorical(torch.ones(rows)), parts)
    expected = (parts.log_prob(z) - aggregate.log_prob(z)).mean()
    assert mutual_information(latent, z, at_once).item() == pytest.approx(expected.item(), abs=1e-6)
