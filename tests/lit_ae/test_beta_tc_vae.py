"""The three parts of the KL divergence against loops over pairs, and against a posterior whose q(z) is known."""

import math
from functools import partial

import lightning as L
import pytest
import torch
from torch import distributions as D

from data import Digits
from lit_ae.aggregate import log_aggregate
from lit_ae.errors import UserError
from lit_ae.latents import DiagonalGaussian
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.schedules import LinearWarmup
from lit_ae.spec import DataSpec
from lit_ae.variants import BetaTCVAE

SPEC = DataSpec("made up", "image", (1, 2, 3), Rescale(0, 1), (0.0, 1.0), synthetic=True)
X = torch.rand(6, 1, 2, 3, generator=torch.Generator().manual_seed(3)).double()
KINDS = ["weighted", "stratified"]


def density(z, mean, log_var):
    return math.exp(-((z - mean) ** 2) / (2 * math.exp(log_var))) / math.sqrt(2 * math.pi * math.exp(log_var))


def share(i, j, batch, rows, kind):
    """For how many of all rows, as a share, the j-th row of the batch stands in q(z_i): Chen et al. 2018, C.1, C.2."""
    if kind == "weighted":
        return 1 / (rows * batch)
    others = batch - 1
    if j == i:
        return 1 / rows
    return (rows - others) / (rows * others) if j == (i + 1) % batch else 1 / others


def loops(latent, z, rows, kind):
    """log q(z_i) and log of the product of q(z_i_d), one pair at a time."""
    batch, dimensions = z.shape
    joint, product = [], []
    for i in range(batch):
        whole, each = 0.0, [0.0] * dimensions
        for j in range(batch):
            of_pair = [density(float(z[i, d]), float(latent.mean[j, d]), float(latent.log_var[j, d]))
                       for d in range(dimensions)]  # fmt: skip
            whole += share(i, j, batch, rows, kind) * math.prod(of_pair)
            each = [a + share(i, j, batch, rows, kind) * b for a, b in zip(each, of_pair, strict=True)]
        joint.append(math.log(whole))
        product.append(sum(map(math.log, each)))
    return torch.tensor(joint).double(), torch.tensor(product).double()


def a_model(**options):
    torch.manual_seed(2)
    model = BetaTCVAE(SPEC, latent_dim=3, network=partial(MLP, hidden=[]), **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [0, 6, 1000])
def test_the_parts_are_those_of_the_loops_and_sum_to_the_sampled_kl(kind, rows):
    model = a_model(sampling=kind, alpha=0.5, beta=7.0, gamma=2.0)
    model.training_rows.fill_(rows)
    torch.manual_seed(1)
    passed = model.forward_pass(X, X)
    terms, z, latent = model.terms(passed), passed.z[0], passed.latent
    posterior = D.Normal(latent.mean, (0.5 * latent.log_var).exp()).log_prob(z).sum(1)
    prior = D.Normal(0.0, 1.0).log_prob(z).sum(1)
    joint, product = loops(latent, z, rows or 6, kind)
    assert torch.allclose(terms["mutual_information"], posterior - joint)
    assert torch.allclose(terms["total_correlation"], joint - product)
    assert torch.allclose(terms["dimension_wise_kl"], product - prior)
    parts = terms["mutual_information"] + terms["total_correlation"] + terms["dimension_wise_kl"]
    assert torch.allclose(parts, posterior - prior)
    assert {name: schedule.final for name, schedule in model.weights.items()} == {
        "mutual_information": 0.5, "total_correlation": 7.0, "dimension_wise_kl": 2.0
    }  # fmt: skip


def test_with_all_weights_1_the_loss_is_the_sampled_elbos():
    model = a_model(beta=1.0)
    torch.manual_seed(1)
    passed = model.forward_pass(X, X)
    total = sum(model.terms(passed).values())
    elbo = passed.log_likelihood[0] + model.prior.log_prob(passed.z[0]) - passed.latent.log_prob(passed.z[0])
    assert torch.allclose(total, -elbo)


def test_the_stratified_estimate_finds_a_known_total_correlation():
    """q(z) of many rows with correlated means is a Gaussian, whose total correlation is -log(1 - r²) / 2."""
    torch.manual_seed(0)
    r, noise, rows, batch = 0.8, 0.5, 4000, 400
    spread = torch.tensor([[1 - noise, r * (1 - noise)], [r * (1 - noise), 1 - noise]]).double()
    means = D.MultivariateNormal(torch.zeros(2).double(), spread).sample((rows,))
    correlation = spread[0, 1].item()
    found = []
    for some in means.split(batch):
        latent = DiagonalGaussian(some, torch.full_like(some, noise).log())
        joint, each = log_aggregate(latent, latent.sample()[0], torch.tensor(rows), "stratified")
        found.append((joint - each.sum(1)).mean())
    exact = -0.5 * math.log(1 - correlation**2)
    assert torch.stack(found).mean().item() == pytest.approx(exact, abs=0.05)


def test_a_batch_of_one_row_is_finite():
    for kind in KINDS:
        model = a_model(sampling=kind)
        model.training_rows.fill_(100)
        passed = model.forward_pass(X[:1], X[:1])
        assert all(term.isfinite().all() for term in model.terms(passed).values())


def test_the_number_of_training_rows_comes_from_the_loader_and_is_kept():
    data = Digits(batch_size=50, fit_rows=130)
    model = BetaTCVAE(data.spec, network=partial(MLP, hidden=[8]))
    assert model.training_rows == 0
    trainer = L.Trainer(
        max_epochs=1, limit_train_batches=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, data)
    assert model.training_rows == 130
    assert model.state_dict()["training_rows"] == 130


def test_weights_are_schedules_and_none_is_negative():
    model = a_model(beta=LinearWarmup(8.0, 5))
    assert model.warmup_epochs == 5
    assert model.weights["total_correlation"].at(2.5) == 4
    for wrong in ({"gamma": -1.0}, {"sampling": "straight"}):
        with pytest.raises(UserError, match="alpha"):
            a_model(**wrong)
