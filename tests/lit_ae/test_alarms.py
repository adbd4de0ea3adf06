"""Alarms say what went wrong, and nothing where nothing did; the measures behind them against whole splits."""

import pytest
import torch

from data import Digits
from lit_ae.latents import DiagonalGaussian
from lit_ae.metrics.usage import PosteriorUsage
from lit_ae.variants import VAE, Autoencoder, BetaTCVAE, FactorVAE, SparseAutoencoder, VectorQuantizedAutoencoder
from lit_ae.variational import Variational

SPEC = Digits().spec


def test_posterior_usage_is_that_of_the_whole_split():
    torch.manual_seed(0)
    scales = torch.tensor([0.0, 0.05, 0.2, 1.0])
    latent = DiagonalGaussian(3 + torch.randn(50, 4) * scales, torch.randn(50, 4))
    usage = PosteriorUsage(4)
    for rows in (slice(0, 7), slice(7, 48), slice(48, 50)):
        usage.update(DiagonalGaussian(latent.mean[rows], latent.log_var[rows]))
    figures = usage.compute()
    assert figures["active_units"] == (latent.mean.var(0) > 0.01).sum() == 2
    assert figures["kl"].item() == pytest.approx(latent.kl_per_dimension().sum(1).mean().item(), rel=1e-5)


VARIATIONAL = [VAE, BetaTCVAE, FactorVAE]


def test_these_are_all_variational_variants():
    def below(base):
        return {base, *(deeper for child in base.__subclasses__() for deeper in below(child))}

    ours = {kind for kind in below(Variational) if kind.__module__.startswith("lit_ae.variants")}
    assert ours == set(VARIATIONAL)


@pytest.mark.parametrize("variant", VARIATIONAL)
@pytest.mark.parametrize(
    ("used", "kl", "alarmed"), [(0, 0.001, True), (1, 5.0, True), (20, 0.1, True), (2, 0.2, False), (14, 22.0, False)]
)
def test_a_collapsed_posterior_is_said(variant, used, kl, alarmed):
    model = variant(SPEC, latent_dim=20)
    alarms = model.alarms({"val/active_units": used, "val/kl": kl})
    assert [f"{used} of 20 latent dimensions are in use" in alarm for alarm in alarms] == [True] * alarmed


def test_dead_units_and_unused_codes_are_said():
    sparse, quantised = SparseAutoencoder(SPEC, latent_dim=40), VectorQuantizedAutoencoder(SPEC)
    assert sparse.alarms({"train/dead_units": 0.1}) == []
    assert sparse.alarms({"train/dead_units": 0.25})[0].startswith("25% of the units are dead")
    assert quantised.alarms({"train/code_usage": 0.5}) == []
    assert quantised.alarms({"train/code_usage": 0.02})[0].startswith("Only 2% of the codebook is used")


def test_a_variant_without_a_measure_has_no_alarm():
    assert Autoencoder(SPEC).alarms({"val/active_units": 0.0}) == []
