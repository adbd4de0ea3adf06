"""The VAE's formulas against independent oracles, with parameters that are not the defaults."""

import math
from functools import partial

import pytest
import torch
from torch import distributions as D

from lit_ae.errors import UserError
from lit_ae.latents import DiagonalGaussian, StandardNormal
from lit_ae.likelihoods import Bernoulli, Gaussian
from lit_ae.metrics.generative import active_units, importance_log_likelihood
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.schedules import Cyclical, LinearWarmup
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE

SPEC = DataSpec("made up", "image", (1, 2, 3), Rescale(0, 1), (0.0, 1.0), synthetic=True)
X = torch.rand(50, 1, 2, 3, generator=torch.Generator().manual_seed(3))
linear = partial(MLP, hidden=[])


def a_gaussian(rows=4, dim=3):
    generator = torch.Generator().manual_seed(5)
    return DiagonalGaussian(
        torch.randn(rows, dim, generator=generator) * 2, torch.randn(rows, dim, generator=generator)
    )


def test_kl_is_torchs_and_monte_carlos():
    latent, prior = a_gaussian(), StandardNormal(3)
    exact = latent.kl_per_dimension().sum(1)
    reference = D.kl_divergence(D.Normal(latent.mean, (0.5 * latent.log_var).exp()), D.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(exact, reference, atol=1e-5)
    torch.manual_seed(0)
    z = latent.sample(200_000)
    ratio = latent.log_prob(z) - prior.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - exact).abs() < 5 * error).all()


def test_the_loss_is_reconstruction_plus_beta_times_kl_in_nats():
    model = VAE(SPEC, latent_dim=2, network=linear, likelihood=Bernoulli, beta=3.5)
    torch.manual_seed(9)
    passed = model.forward_pass(X, X)
    terms = model.terms(passed)
    p = model.likelihood.mean(model.network.decode(passed.z[0]))
    assert torch.allclose(
        terms["reconstruction"], -(X * p.log() + (1 - X) * (1 - p).log()).flatten(1).sum(1), atol=1e-4
    )
    assert torch.allclose(terms["kl"], passed.latent.kl_per_dimension().sum(1))
    weights = {name: model.weights[name].final if name in model.weights else 1.0 for name in terms}
    assert weights == {"reconstruction": 1.0, "kl": 3.5}


def test_free_bits_make_the_kl_of_a_dimension_cost_at_least_lambda():
    model = VAE(SPEC, latent_dim=4, network=linear, free_bits=0.7, beta=2.0)
    passed = model.forward_pass(X, X)
    terms = model.terms(passed)
    per_dimension = passed.latent.kl_per_dimension().mean(0)
    expected = per_dimension.clamp(min=0.7).sum()
    assert per_dimension.min() < 0.7
    assert torch.allclose((terms["kl"] + terms["free_bits"]).mean(), expected, atol=1e-5)
    assert model.weights["free_bits"].final == 2.0


def test_the_importance_bound_is_the_formula_and_grows_with_the_draws():
    bounds = []
    for draws in (1, 5, 50):
        torch.manual_seed(1)
        model = VAE(SPEC, latent_dim=2, network=linear, importance_samples=draws)
        torch.manual_seed(2)
        passed = model.forward_pass(X, X)
        log_w = passed.log_likelihood + StandardNormal(2).log_prob(passed.z) - passed.latent.log_prob(passed.z)
        expected = -torch.log(log_w.double().exp().mean(0))
        if draws > 1:
            term = model.terms(passed)["importance_bound"]
            assert torch.allclose(term.double(), expected, atol=1e-3)
            assert model.weights["reconstruction"].final == model.weights["kl"].final == 0
        bounds.append(-expected.mean().item())
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("options", [{"beta": 2.0}, {"free_bits": 0.1}, {"beta": LinearWarmup(1, 3)}])
def test_the_importance_bound_takes_no_other_weights(options):
    with pytest.raises(UserError, match="importance"):
        VAE(SPEC, importance_samples=4, **options)


def test_a_warm_up_longer_than_the_training_is_refused():
    model = VAE(SPEC, beta=Cyclical(1.0, period=3, cycles=4))
    assert model.warmup_epochs == 12
    model.check_schedules(12)
    with pytest.raises(UserError, match="12 epochs and the training only 11"):
        model.check_schedules(11)


def linear_vae(variance):
    """A linear VAE with its exact posterior, so that log p(x) = log N(x; b, W W' + variance I) can be compared."""
    torch.manual_seed(4)
    model = VAE(SPEC, latent_dim=2, network=linear, likelihood=partial(Gaussian, variance=variance))
    decoder, encoder = model.network.decoder[0], model.network.encoder[0]
    w, b = decoder.weight.data, decoder.bias.data
    precision = torch.eye(2) + w.T @ w / variance
    gain = torch.linalg.inv(precision) @ w.T / variance
    encoder.weight.data[:2], encoder.bias.data[:2] = gain, -gain @ b
    encoder.weight.data[2:] = 0
    encoder.bias.data[2:] = torch.linalg.inv(precision).diagonal().log()
    marginal = D.MultivariateNormal(b, w @ w.T + variance * torch.eye(6))
    return model, marginal.log_prob(X.flatten(1))


@pytest.mark.parametrize(("samples", "at_once"), [(2000, 20_000), (1999, 700), (2000, 51)])
def test_importance_sampling_finds_a_linear_vaes_log_likelihood(samples, at_once):
    """Also where the pieces don't divide the samples: each draw counts once, and the right log count is taken off."""
    model, exact = linear_vae(variance=0.4)
    torch.manual_seed(0)
    estimate = importance_log_likelihood(model, X, samples, at_once)
    assert torch.allclose(estimate.float(), exact, atol=0.1)
    assert abs(estimate.mean() - exact.mean()) < 0.01


def test_one_importance_sample_is_the_elbo():
    model, exact = linear_vae(variance=0.4)
    torch.manual_seed(0)
    one = importance_log_likelihood(model, X.repeat(400, 1, 1, 1), 1).mean()
    passed = model.forward_pass(X.repeat(400, 1, 1, 1), X.repeat(400, 1, 1, 1))
    elbo = -sum(term.mean() for term in model.terms(passed).values())
    assert one.item() == pytest.approx(elbo.item(), abs=0.05)
    assert elbo < exact.mean()


def test_active_units_counts_dimensions_whose_mean_varies():
    means = torch.zeros(1000, 4)
    means[:, 1] = torch.linspace(-1, 1, 1000)
    means[:, 3] = torch.linspace(-0.1, 0.1, 1000)
    assert active_units(means) == 1
