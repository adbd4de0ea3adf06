"""On real digits the codes of rows that were not trained on pass for any of the priors."""

from functools import partial

import pytest
import torch

from data import Digits
from lit_ae.batch import Batch
from lit_ae.likelihoods import Gaussian
from lit_ae.networks import MLP
from lit_ae.priors import GaussianMixture, StandardNormal, SwissRoll
from lit_ae.variants import AdversarialAutoencoder
from tests.lit_ae.test_adversarial_autoencoder import p_value

DATA, STEPS = Digits(seed=0), 2000


def made(prior):
    torch.manual_seed(0)
    return AdversarialAutoencoder(
        DATA.spec, latent_dim=2, prior=prior, network=partial(MLP, hidden=[256, 128]), adversarial=20.0,
        likelihood=partial(Gaussian, variance=0.05), discriminator_hidden=[128, 128],
        optimizer=partial(torch.optim.Adam, lr=0.001, betas=(0.5, 0.9)),
        adversary_optimizer=partial(torch.optim.Adam, lr=0.003, betas=(0.5, 0.99)),
    )  # fmt: skip


def train(model, x):
    optimizer = model.training_plan.optimizer(model, model._optimizer)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.02, 1 - step / STEPS))
    for _ in range(STEPS):
        optimizer.zero_grad()
        model.objective(Batch(x[torch.randint(len(x), (128,))]), epoch=1.0)[0].backward()
        optimizer.step()
        falling.step()
    return model.eval()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("prior", [StandardNormal, GaussianMixture, SwissRoll])
def test_codes_of_digits_pass_the_two_sample_test_that_untrained_ones_fail(prior):
    model, x = made(prior), DATA.split("tune").x
    draws = model.prior.sample(len(x), torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert p_value(model.encode(x), draws) < 0.01
    train(model, DATA.split("fit").x)
    with torch.no_grad():
        assert p_value(model.encode(x), draws) > 0.05
        assert (model(x) - x).square().mean() < 0.06
        assert model.objective(Batch(x), epoch=None)[1]["prior_coverage"] > 0.75
