"""Priors against numerical integrals and torch's distributions; coverage against its expectation."""

import math

import pytest
import torch
from torch import distributions as D

from lit_ae.errors import UserError
from lit_ae.metrics.coverage import coverage
from lit_ae.priors import GaussianMixture, StandardNormal, SwissRoll


def a_mixture():
    return GaussianMixture(3, modes=3, radius=1.7, along=0.4, across=0.2)


def the_same_by_torch():
    angles = torch.arange(3) * 2 * math.pi / 3
    out = torch.stack([angles.cos(), angles.sin()], 1)
    aside = torch.stack([-angles.sin(), angles.cos()], 1)
    covariance = torch.zeros(3, 3, 3)
    covariance[:, :2, :2] = 0.16 * out[:, :, None] * out[:, None] + 0.04 * aside[:, :, None] * aside[:, None]
    covariance[:, 2, 2] = 1
    centres = torch.cat([1.7 * out, torch.zeros(3, 1)], 1)
    return D.MixtureSameFamily(D.Categorical(torch.ones(3)), D.MultivariateNormal(centres, covariance))


def test_the_mixtures_density_is_torchs():
    z = torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0)) * 2
    assert torch.allclose(a_mixture().log_prob(z), the_same_by_torch().log_prob(z), atol=1e-4)


def test_the_mixtures_draws_have_its_moments_and_entropy():
    z = a_mixture().sample(100_000, torch.Generator().manual_seed(1))
    reference = the_same_by_torch()
    assert torch.allclose(z.mean(0), reference.mean, atol=0.02)
    assert torch.allclose(z.var(0), reference.variance, rtol=0.03)
    torch.manual_seed(2)
    theirs = reference.sample((100_000,))
    assert reference.log_prob(z).mean() == pytest.approx(reference.log_prob(theirs).mean().item(), abs=0.02)


def test_the_swiss_roll_is_a_spiral_of_even_density():
    z = SwissRoll(3, turns=2.0, radius=4.0, noise=0.0).sample(20_000, torch.Generator().manual_seed(1))
    distance = z[:, :2].norm(dim=1)
    angle = torch.atan2(z[:, 1], z[:, 0])
    turns = (4 * math.pi * distance / 4.0 - angle) / (2 * math.pi)
    assert torch.allclose(turns, turns.round(), atol=1e-3)
    assert distance.max() <= 4.0
    assert (distance < 2.0).float().mean() == pytest.approx(0.25, abs=0.02)  # half the radius is a quarter of the arc
    assert z[:, 2].std() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("prior", [StandardNormal(4), GaussianMixture(4), SwissRoll(4)])
def test_draws_are_repeatable_by_a_generator(prior):
    first, again, other = (prior.sample(7, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert first.shape == (7, 4)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [
    lambda: GaussianMixture(1), lambda: GaussianMixture(2, modes=0), lambda: GaussianMixture(2, across=0.0),
    lambda: SwissRoll(1), lambda: SwissRoll(2, turns=0.0), lambda: SwissRoll(2, noise=-1.0),
])  # fmt: skip
def test_impossible_priors_are_refused(wrong):
    with pytest.raises(UserError, match="latent_dim >= 2"):
        wrong()


def test_coverage_is_near_one_for_the_same_distribution_and_the_share_of_modes_for_fewer():
    torch.manual_seed(0)
    prior = GaussianMixture(2, modes=10)
    whole = coverage(prior.sample(800), prior.sample(800))
    some = prior.sample(800)
    reached = (torch.atan2(some[:, 1], some[:, 0]) / (2 * math.pi / 10)).round() % 10 < 4
    assert set(whole.tolist()) <= {0.0, 1.0}
    assert whole.mean() == pytest.approx(1 - 2**-5, abs=0.03)
    assert coverage(prior.sample(800), some[reached]).mean() == pytest.approx(0.4, abs=0.06)
    assert coverage(prior.sample(800), torch.zeros(800, 2)).mean() == 0
    assert coverage(prior.sample(3), prior.sample(3)).shape == (3,)
