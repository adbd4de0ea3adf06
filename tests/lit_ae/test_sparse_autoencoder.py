"""Sparse codes against formulas worked by hand, with parameters that are not the defaults."""

import math
from functools import partial

import lightning as L
import pytest
import torch
from torch import nn

from data import Digits
from lit_ae.batch import Batch
from lit_ae.corruptions import GaussianNoise
from lit_ae.errors import UserError
from lit_ae.latents import SparseCode
from lit_ae.likelihoods import Bernoulli
from lit_ae.metrics.usage import UnitActivity
from lit_ae.networks import MLP, Conv
from lit_ae.preprocessing import Rescale
from lit_ae.schedules import LinearWarmup
from lit_ae.sparsity import KL, L1, BatchTopK, JumpReLU, TopK
from lit_ae.spec import DataSpec
from lit_ae.variants import SparseAutoencoder

SPEC = DataSpec("made up", "table", (6,), Rescale(0, 1), (0.0, 1.0), synthetic=True)
X = torch.rand(50, 6, generator=torch.Generator().manual_seed(3))
linear = partial(MLP, hidden=[])


def make(sparsity, units=12, **changes):
    torch.manual_seed(4)
    model = SparseAutoencoder(SPEC, latent_dim=units, **{"network": linear, "sparsity": sparsity, **changes})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return model


def terms_of(model, x=X):
    passed = model.forward_pass(x, x)
    return passed, model.terms(passed)


def kl(rho, rho_hat):
    return sum(rho * math.log(rho / r) + (1 - rho) * math.log((1 - rho) / (1 - r)) for r in rho_hat)


def test_kl_is_taken_of_the_training_sets_mean_activation_and_not_of_a_batchs():
    model = make(partial(KL, rho=0.2, decay=0.7, weight=LinearWarmup(2.5, 2)))
    means = []
    for batch in X.split(20):
        _, terms = terms_of(model, batch)
        means.append(torch.sigmoid(model.network.encode(batch)).mean(0).double())
        share = [0.3 * 0.7 ** (len(means) - 1 - i) for i in range(len(means))]
        rho_hat = sum(s * m for s, m in zip(share, means, strict=True)) / sum(share)
        assert terms["sparsity"].shape == (len(batch),)
        assert terms["sparsity"][0].item() == pytest.approx(kl(0.2, rho_hat.tolist()), rel=1e-4)
    model.eval()
    assert terms_of(model, X[:3])[1]["sparsity"][0].item() == pytest.approx(kl(0.2, rho_hat.tolist()), rel=1e-4)
    assert model.weights["sparsity"].at(1) == 1.25


def test_kls_gradient_is_its_slope_at_the_average_times_the_batch_means_gradient():
    model = make(partial(KL, rho=0.2, decay=0.9))
    terms_of(model, X[:20])
    bias = model.network.encoder[0].bias
    (found,) = torch.autograd.grad(terms_of(model, X[20:])[1]["sparsity"].mean(), bias)
    rho_hat = model.sparsity.average.value
    slope = -0.2 / rho_hat + 0.8 / (1 - rho_hat)
    code = model.encode(X[20:])
    assert torch.allclose(found, slope * (code * (1 - code)).mean(0), rtol=1e-4)


def test_l1_sums_what_is_on():
    model = make(partial(L1, weight=0.3))
    passed, terms = terms_of(model)
    assert torch.allclose(terms["sparsity"], model.network.encode(X).clamp(min=0).sum(1))
    assert torch.equal(passed.latent.active, model.network.encode(X) > 0)
    assert model.weights["sparsity"].final == 0.3


@pytest.mark.parametrize("network", [linear, partial(MLP, hidden=[7]), partial(MLP, hidden=[7], tied=True)])
def test_topk_leaves_exactly_the_k_largest(network):
    model = make(partial(TopK, k=5), network=network)
    code, pre = model.encode(X), model.network.encode(X)
    assert ((code != 0).sum(1) == 5).all()
    for row, full in zip(code, pre, strict=True):
        assert sorted(row[row != 0].tolist()) == sorted(full.tolist())[-5:]


def test_batch_topk_leaves_k_on_average_and_at_inference_goes_by_its_threshold():
    model = make(partial(BatchTopK, k=2, decay=0.6))
    lowest = []
    for batch in X.split(20):
        passed, _ = terms_of(model, batch)
        kept = passed.latent.mean
        pre = model.network.encode(batch)
        assert (kept > 0).sum() == 2 * len(batch)
        assert sorted(kept[kept > 0].tolist()) == sorted(pre.flatten().tolist())[-2 * len(batch) :]
        lowest.append(kept[kept > 0].min().item())
    share = [0.4 * 0.6**2, 0.4 * 0.6, 0.4]
    threshold = sum(s * m for s, m in zip(share, lowest, strict=True)) / sum(share)
    model.eval()
    pre = model.network.encode(X)
    assert torch.equal(model.encode(X), torch.where(pre > model.sparsity.threshold.value, pre, 0))
    assert model.sparsity.threshold.value.item() == pytest.approx(threshold, rel=1e-5)
    assert torch.allclose(model.encode(X[:1]), model.encode(X)[:1])


def declare_dead(model, units):
    model.sparsity.silent[:] = 0
    model.sparsity.silent[units] = 1000


def test_auxk_is_the_papers_error_of_the_error_with_the_decoders_bias_counted_once():
    model = make(partial(TopK, k=3, aux_k=2, dead_after=1000)).eval()
    dead = [1, 4, 7, 10]
    declare_dead(model, dead)
    passed, terms = terms_of(model)
    w, b = model.network.decoder[0].weight, model.network.decoder[0].bias
    assert b.abs().min() > 0.01
    pre = model.network.encode(X)
    for i in range(len(X)):
        error = X[i] - w @ passed.latent.mean[i] - b
        two = sorted(dead, key=lambda j: -pre[i, j].item())[:2]
        error_hat = sum(w[:, j] * pre[i, j] for j in two)
        expected = 0.5 * (error - error_hat).square().sum() - 0.5 * error.square().sum()
        assert terms["sparsity"][i].item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-5)


def test_auxk_teaches_dead_units_alone():
    model = make(partial(TopK, k=3, aux_k=3)).eval()
    declare_dead(model, [1, 4, 7])
    terms_of(model)[1]["sparsity"].sum().backward()
    layer = model.network.encoder[0]
    assert layer.bias.grad.nonzero().flatten().tolist() == [1, 4, 7]
    columns = model.network.decoder[0].parametrizations.weight.original.grad.abs().sum(0)
    assert (columns > 1e-4).nonzero().flatten().tolist() == [1, 4, 7]
    assert model.network.decoder[0].bias.grad.abs().max() < 1e-4


def test_auxk_costs_nothing_while_no_unit_is_dead_and_goes_with_any_likelihood():
    model = make(partial(TopK, k=3), network=partial(MLP, hidden=[9]), likelihood=Bernoulli).eval()
    assert not terms_of(model)[1]["sparsity"].any()
    declare_dead(model, [2])
    passed, terms = terms_of(model)
    code = passed.latent.mean.clone()
    code[:, 2] += torch.where(passed.latent.active[:, 2], 0, model.network.encode(X)[:, 2])
    idle = ~passed.latent.active[:, 2]
    assert idle.any()
    expected = (passed.log_likelihood - model.log_likelihood(X, code[None]))[0]
    assert torch.allclose(terms["sparsity"][idle], expected[idle], atol=1e-4)


@pytest.mark.parametrize("sparsity", [TopK, BatchTopK])
def test_the_threshold_revival_costs_what_each_dead_unit_lacks_for_the_sample_nearest_to_it(sparsity):
    model = make(partial(sparsity, k=2, dead_after=1000, revival="threshold"))
    assert not terms_of(model)[1]["sparsity"].any()
    declare_dead(model, [1, 4, 7, 10])
    passed, terms = terms_of(model)
    code, pre, dead = passed.latent.mean, model.network.encode(X), model.sparsity.dead.nonzero().flatten().tolist()
    assert dead
    expected = [0.0] * len(X)
    for j in dead:
        lacking = {i: min(pre[i][code[i] != 0]).item() - pre[i, j].item() for i in range(len(X)) if code[i].any()}
        nearest = min(lacking, key=lacking.get)
        expected[nearest] += len(X) * lacking[nearest]
    assert terms["sparsity"].tolist() == pytest.approx(expected, rel=1e-4)
    terms["sparsity"].sum().backward()
    assert model.network.encoder[0].bias.grad.nonzero().flatten().tolist() == dead
    assert all(parameter.grad is None for parameter in model.network.decoder.parameters())


def test_a_shorter_start_shortens_the_first_reconstructions_alone():
    whole, short = (make(partial(TopK, k=12, start=start)) for start in (1.0, 0.25))
    shift = [model.network.encoder[0].bias @ model.network.decoder[0].weight.T for model in (whole, short)]
    centred = [model(X) - model.network.decoder[0].bias - b for model, b in zip((whole, short), shift, strict=True)]
    assert torch.allclose(centred[1], 0.25 * centred[0], atol=1e-5)
    assert torch.equal(whole.network.decoder[0].weight, short.network.decoder[0].weight)


@pytest.mark.parametrize("revival", ["leftover", "threshold"])
def test_units_die_after_so_many_steps_without_firing_and_the_cost_revives_them(revival):
    """54 of 64 units lose against the others for ever, as no gradient reaches them; the cost alone helps."""
    x = Digits(seed=1).split("fit").x[:200]
    alive = {}
    for weight in (0.0, 1 / 32):
        torch.manual_seed(0)
        sparsity = partial(TopK, k=5, dead_after=5, weight=weight, revival=revival)
        model = SparseAutoencoder(Digits().spec, latent_dim=64, network=linear, sparsity=sparsity)
        with torch.no_grad():
            model.network.encoder[0].bias[10:] -= 3
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(150):
            assert model.sparsity.dead[10:].all() if step == 5 else step > 5 or not model.sparsity.dead.any()
            optimizer.zero_grad()
            model.objective(Batch(x), epoch=1.0)[0].backward()
            optimizer.step()
        alive[weight] = int((~model.sparsity.dead[10:]).sum())
    assert alive[0.0] == 0
    assert alive[1 / 32] > 40


def test_jumprelus_straight_through_gradients_are_the_papers():
    model = make(partial(JumpReLU, threshold=0.4, bandwidth=0.5))
    passed, terms = terms_of(model)
    pre = passed.latent.pre.detach()
    assert torch.equal(passed.latent.mean, torch.where(pre > 0.4, pre, 0))
    assert torch.equal(terms["sparsity"], (pre > 0.4).float().sum(1))
    window = ((pre - 0.4).abs() < 0.25).float()
    assert window.any()
    (of_cost,) = torch.autograd.grad(terms["sparsity"].sum(), model.sparsity.log_threshold, retain_graph=True)
    assert torch.allclose(of_cost, 0.4 * -(window / 0.5).sum(0), rtol=1e-4)
    ask = torch.randn(pre.shape, generator=torch.Generator().manual_seed(1))
    (of_code,) = torch.autograd.grad((passed.latent.mean * ask).sum(), model.sparsity.log_threshold, retain_graph=True)
    assert torch.allclose(of_code, 0.4 * (ask * -(0.4 / 0.5) * window).sum(0), rtol=1e-3, atol=1e-5)
    (of_pre,) = torch.autograd.grad((passed.latent.mean * ask).sum(), passed.latent.pre)
    assert torch.allclose(of_pre, ask * (pre > 0.4))


@pytest.mark.parametrize("network", [linear, partial(MLP, hidden=[9]), partial(Conv, channels=[4, 8])])
def test_the_decoder_starts_as_the_encoder_transposed_and_keeps_columns_of_length_1(network):
    torch.manual_seed(0)
    model = SparseAutoencoder(Digits().spec, latent_dim=40, network=network, sparsity=partial(TopK, k=4))
    reader = next(layer for layer in model.network.decoder.modules() if isinstance(layer, nn.Linear))
    writer = [layer for layer in model.network.encoder.modules() if isinstance(layer, nn.Linear)][-1]
    assert torch.allclose(reader.weight, writer.weight.T, atol=1e-6)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    before = reader.weight.detach().clone()
    for _ in range(5):
        model.objective(Batch(torch.rand(30, 1, 8, 8)), epoch=1.0)[0].backward()
        optimizer.step()
    assert torch.allclose(reader.weight.norm(dim=0), torch.ones(40), atol=1e-5)
    assert not torch.allclose(reader.weight, before, atol=1e-2)


def test_the_measures_are_those_of_the_whole_split():
    code = torch.rand(70, 5, generator=torch.Generator().manual_seed(2))
    active = code > torch.tensor([0.2, 0.5, 2.0, 0.9, 2.0])
    measure = UnitActivity(5)
    for some in torch.arange(70).split(30):
        measure.update(SparseCode(code[some], active[some], code[some]))
    found = measure.compute()
    assert found["l0"].item() == pytest.approx(active.sum().item() / 70)
    assert found["mean_activation"].item() == pytest.approx(code.mean().item(), rel=1e-5)
    assert found["dead_units"].item() == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    ("sparsity", "highest_l0", "most_dead"),
    [
        (partial(TopK, k=10, dead_after=20), 10, 0.1),
        (partial(TopK, k=10, dead_after=5, weight=0.01, revival="threshold", start=0.7), 10, 0.01),
        (partial(BatchTopK, k=10, dead_after=20), 13, 0.1),
        (L1, 40, 0.8),
        (JumpReLU, 40, 0.8),
        (partial(KL, rho=0.1), 64, 0.1),
    ],
)
def test_trained_on_digits_few_units_are_on_and_few_are_dead(sparsity, highest_l0, most_dead):
    L.seed_everything(0, verbose=False)
    data = Digits(batch_size=64, seed=0)
    model = SparseAutoencoder(
        data.spec, latent_dim=128, network=linear, sparsity=sparsity, optimizer=partial(torch.optim.Adam, lr=0.01)
    )
    trainer = L.Trainer(
        max_epochs=20, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, data)
    figures = trainer.callback_metrics
    x = data.split("fit").x
    assert figures["val/mse"] < 0.3 * x.var(0).mean()
    assert figures["val/l0"] <= highest_l0
    assert figures["train/dead_units"] <= most_dead
    assert {"train/l0", "train/mean_activation", "val/dead_units", "val/sparsity"} <= set(figures)


def test_what_it_remembers_of_the_training_set_travels_with_it():
    for sparsity in (partial(KL, rho=0.1), partial(BatchTopK, k=2)):
        model, other = make(sparsity), make(sparsity)
        for batch in X.split(10):
            terms_of(model, batch)
        other.load_state_dict(model.state_dict())
        assert torch.equal(terms_of(model.eval())[1]["sparsity"], terms_of(other.eval())[1]["sparsity"])
        assert torch.equal(model.encode(X), other.encode(X))
        assert model.state_dict().keys() >= {f"sparsity.{name}" for name, _ in model.sparsity.named_buffers()}


@pytest.mark.parametrize(
    ("sparsity", "reason"),
    [
        (partial(TopK, k=13), "between 1 and model.latent_dim"),
        (partial(TopK, dead_after=0), "dead_after"),
        (partial(TopK, start=0.0), "start must be above 0"),
        (partial(TopK, start=float("nan")), "start must be above 0"),
        (partial(TopK, start=float("inf")), "start must be above 0"),
        (partial(L1, start=-1.0), "start must be above 0"),
        (partial(TopK, revival="none"), "leftover or threshold"),
        (partial(KL, rho=1.0), "rho in"),
        (partial(BatchTopK, decay=1.0), "decay"),
        (partial(JumpReLU, bandwidth=0.0), "bandwidth"),
        (partial(L1, weight=-1.0), "weight"),
    ],
)
def test_what_makes_no_sense_is_refused(sparsity, reason):
    with pytest.raises(UserError, match=reason):
        make(sparsity)


def test_a_corruption_damages_what_is_encoded_and_not_what_auxk_is_judged_by():
    model = make(partial(TopK, k=3), corruption=partial(GaussianNoise, sigma=0.3)).eval()
    declare_dead(model, [0, 5])
    passed = model.forward_pass(X, model.corrupt(X))
    aux = model.terms(passed)["sparsity"]
    elsewhere = passed._replace(x=1 - X)
    assert not torch.allclose(model.terms(elsewhere)["sparsity"], aux)
    assert not torch.equal(passed.inputs, passed.x)
