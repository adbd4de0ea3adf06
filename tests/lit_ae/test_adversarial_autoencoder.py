"""The adversarial autoencoder: its formulas by hand, and its codes against the prior by a two-sample test."""

import re
from functools import partial

import lightning as L
import torch

from data import Digits
from lit_ae.batch import Batch
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.priors import GaussianMixture, StandardNormal
from lit_ae.spec import DataSpec
from lit_ae.variants import AdversarialAutoencoder

SPEC = DataSpec("a plane", "table", (3,), Rescale(0, 1), synthetic=True)


def plane(rows, seed):
    """Points spread evenly over a parallelogram in three dimensions."""
    corners = torch.tensor([[2.0, 1.0, -2.0], [0.6, -2.4, 1.6]])
    return torch.rand(rows, 2, generator=torch.Generator().manual_seed(seed)) @ corners


def p_value(a, b, permutations=300):
    """Of the permutation test of equal distributions by the energy distance (Székely & Rizzo 2004)."""
    generator = torch.Generator().manual_seed(0)
    distances = torch.cdist(torch.cat([a, b]), torch.cat([a, b]))

    def energy(order):
        shuffled, half = distances[order][:, order], len(a)
        return 2 * shuffled[:half, half:].mean() - shuffled[:half, :half].mean() - shuffled[half:, half:].mean()

    seen = energy(torch.arange(len(distances)))
    others = [energy(torch.randperm(len(distances), generator=generator)) for _ in range(permutations)]
    return sum(other >= seen for other in others).item() / permutations


def test_the_two_sample_test_itself_tells_what_it_should():
    normal = StandardNormal(2)
    draws = [normal.sample(200, torch.Generator().manual_seed(seed)) for seed in range(6)]
    assert min(p_value(draws[0], draws[1]), p_value(draws[2], draws[3]), p_value(draws[4], draws[5])) > 0.05
    assert p_value(draws[0], draws[1] * 1.5) < 0.02


def trained(steps=1600):
    """On the plane; the discriminator learns faster than the encoder."""
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, betas=(0.0, 0.9))
    model = AdversarialAutoencoder(
        SPEC, latent_dim=2, network=partial(MLP, hidden=[64, 64]), adversarial=0.3, discriminator_hidden=[64, 64],
        optimizer=partial(adam, lr=0.002), adversary_optimizer=partial(torch.optim.Adam, lr=0.01, betas=(0.0, 0.99)),
    )  # fmt: skip
    optimizer = model.training_plan.optimizer(model, partial(adam, lr=0.002))
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    x = plane(4000, seed=1)
    for _ in range(steps):
        optimizer.zero_grad()
        model.objective(Batch(x[torch.randint(4000, (200,))]), epoch=1.0)[0].backward()
        optimizer.step()
        falling.step()
    return model.eval()


@torch.no_grad()
def test_codes_of_new_data_pass_for_the_prior_after_the_training_and_not_before():
    untrained = AdversarialAutoencoder(SPEC, latent_dim=2, network=partial(MLP, hidden=[64, 64]))
    x, draws = plane(200, seed=2), StandardNormal(2).sample(200, torch.Generator().manual_seed(5))
    assert p_value(untrained.encode(x), draws) < 0.01
    with torch.enable_grad():
        model = trained()
    assert p_value(model.encode(x), draws) > 0.05
    assert (model(x) - x).square().mean() < 0.01 * x.var()
    assert model.objective(Batch(x), epoch=None)[1]["prior_coverage"] > 0.85


def test_the_terms_are_the_papers():
    torch.manual_seed(1)
    model = AdversarialAutoencoder(SPEC, latent_dim=2, prior=partial(GaussianMixture, modes=3), adversarial=2.5)
    x = plane(50, seed=3)
    passed = model.forward_pass(x, x)
    torch.manual_seed(4)
    terms = model.terms(passed)
    torch.manual_seed(4)
    drawn = GaussianMixture(2, modes=3).sample(50)
    of_codes, of_draws = model.discriminator(model.encode(x)).sigmoid(), model.discriminator(drawn).sigmoid()
    assert torch.allclose(terms["adversarial"], -of_codes.log(), atol=1e-5)
    assert torch.allclose(terms["discriminator"], -0.5 * (of_draws.log() + (1 - of_codes).log()), atol=1e-5)
    weights = model.weights
    assert (weights["adversarial"].at(3.0), weights["discriminator"].at(3.0)) == (2.5, 1.0)
    assert (weights["adversarial"].final, weights["discriminator"].final) == (2.5, 0.0)


def test_samples_are_decoded_draws_of_the_chosen_prior():
    model = AdversarialAutoencoder(SPEC, latent_dim=2, prior=partial(GaussianMixture, modes=4)).eval()
    x = model.sample(9, torch.Generator().manual_seed(8))
    codes = GaussianMixture(2, modes=4).sample(9, torch.Generator().manual_seed(8))
    assert torch.equal(x, model.decode(codes))


def test_collapsed_codes_are_said_at_the_end_of_the_training():
    torch.manual_seed(0)
    model = AdversarialAutoencoder(Digits().spec, latent_dim=2, network=partial(MLP, hidden=[32]), adversarial=0.0)
    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, Digits(batch_size=60, fit_rows=60, seed=1))
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert figures["val/prior_coverage"] < 0.5
    (alarm,) = model.alarms(figures)
    assert re.search(r"cover \d+% of the prior alone \(mode collapse\)", alarm)
    assert model.alarms({"val/prior_coverage": 0.8}) == []
