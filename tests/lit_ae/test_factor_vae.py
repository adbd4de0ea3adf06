"""FactorVAE: permuted codes, and the total correlation of a Gaussian, which is known."""

import math
from functools import partial

import pytest
import torch

from lit_ae.adversaries import Discriminator, permute_dimensions
from lit_ae.errors import UserError
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE, FactorVAE

SPEC = DataSpec("made up", "table", (5,), Rescale(0, 1), synthetic=True)


def correlated(rows, rho, seed):
    """Draws of a Gaussian whose first two of three dimensions correlate."""
    z = torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))
    z[:, 1] = rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1]
    return z


def test_permuting_keeps_each_dimensions_values_and_ends_their_correlation():
    z = correlated(20_000, rho=0.9, seed=0)
    torch.manual_seed(1)
    permuted = permute_dimensions(z)
    assert torch.equal(permuted.sort(0).values, z.sort(0).values)
    assert torch.corrcoef(z.T)[0, 1] > 0.89
    assert (torch.corrcoef(permuted.T) - torch.eye(3)).abs().max() < 0.03
    assert not torch.equal(permuted, permute_dimensions(z))


def test_the_discriminator_finds_a_gaussians_total_correlation():
    """It is -log(1 - rho²) / 2 nats."""
    rho = 0.8
    torch.manual_seed(2)
    discriminator = Discriminator(3, [32, 32])
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.01)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 500)
    for step in range(500):
        z = correlated(500, rho, seed=step)
        optimizer.zero_grad()
        discriminator.cost(z, permute_dimensions(z)).mean().backward()
        optimizer.step()
        falling.step()
    z = correlated(20_000, rho, seed=1000)
    with torch.no_grad():
        estimate = discriminator.judge(z).mean().item()
        independent = discriminator.judge(correlated(20_000, 0.0, seed=1001)).mean().item()
    assert estimate == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)
    assert independent < 0


def test_the_objective_is_a_vaes_and_gamma_times_the_log_ratio():
    torch.manual_seed(3)
    model = FactorVAE(SPEC, latent_dim=3, network=partial(MLP, hidden=[]), beta=1.5, gamma=6.0)
    x = torch.randn(40, 5)
    passed = model.forward_pass(x, x)
    terms = model.terms(passed)
    probability = model.discriminator(passed.z[0]).sigmoid()
    plain = VAE.terms(model, passed)
    assert torch.allclose(terms["total_correlation"], (probability / (1 - probability)).log(), atol=1e-5)
    assert all(torch.equal(terms[name], plain[name]) for name in ("reconstruction", "kl"))
    finals = {name: model.weights[name].final for name in model.weights}
    assert finals == {"kl": 1.5, "total_correlation": 6.0, "discriminator": 0.0}


@pytest.mark.parametrize("wrong", [{"importance_samples": 3}, {"latent_dim": 1}])
def test_what_has_no_total_correlation_is_refused(wrong):
    with pytest.raises(UserError, match="FactorVAE needs"):
        FactorVAE(SPEC, **wrong)
