"""The encoder's squared Jacobian against a loop of one backward pass a unit, and what the penalty does."""

from functools import partial

import pytest
import torch

from benchmarks import jacobian as benchmark
from data import Digits
from lit_ae.batch import Batch
from lit_ae.corruptions import GaussianNoise
from lit_ae.errors import UserError
from lit_ae.jacobian import encoder_contraction, squared_jacobian
from lit_ae.networks import MLP, Conv, Sizes
from lit_ae.schedules import LinearWarmup
from lit_ae.variants import ContractiveAutoencoder

SPEC = Digits().spec
X = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(3))
NETWORKS = {
    "linear": partial(MLP, hidden=[]),
    "one hidden layer": partial(MLP, hidden=[13], activation="sigmoid"),
    "two, narrow first": partial(MLP, hidden=[13, 11], activation="tanh"),
    "three, wide first": partial(MLP, hidden=[90, 17, 12], activation="gelu"),
    "leaky": partial(MLP, hidden=[90, 17], activation="leaky_relu"),
    "elu": partial(MLP, hidden=[15], activation="elu"),
    "silu": partial(MLP, hidden=[15], activation="silu"),
    "identity": partial(MLP, hidden=[15, 14], activation="identity"),
    "relu, tied": partial(MLP, hidden=[20, 15], tied=True),
    "layer norm": partial(MLP, hidden=[20], normalization="layer"),
    "conv": partial(Conv, channels=[4, 8], activation="silu", normalization="group"),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


def a_network(network):
    torch.manual_seed(1)
    return network(SPEC, Sizes(latent_dim=9)).double()


def gradients(total, network):
    found = torch.autograd.grad(total, list(network.encoder.parameters()), allow_unused=True)
    return [torch.zeros(1) if gradient is None else gradient for gradient in found]


@every_network
def test_it_is_the_loop_over_units_and_so_are_its_gradients(network):
    network, x = a_network(network), X.double()
    expected = benchmark.loop(network, x)
    theirs = gradients(expected.sum(), network)
    for found in (encoder_contraction(network, x), squared_jacobian(network.encode, x)):
        assert found.shape == (7,)
        assert torch.allclose(found, expected, rtol=1e-9)
        ours = gradients(found.sum(), network)
        assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(ours, theirs, strict=True))


@every_network
def test_it_works_where_gradients_are_off_and_for_frozen_weights(network):
    network, x = a_network(network), X.double()
    expected = benchmark.loop(network, x).detach()
    with torch.no_grad():
        found = encoder_contraction(network, x)
        few = encoder_contraction(network, x, probes=3)
    assert not found.requires_grad
    assert not few.requires_grad
    assert torch.allclose(found, expected)
    network.requires_grad_(False)
    assert torch.allclose(encoder_contraction(network, x), expected)


@pytest.mark.parametrize("network", [NETWORKS["conv"], NETWORKS["one hidden layer"]])
def test_hutchinsons_estimate_is_unbiased(network):
    network, x = a_network(network), X.double()
    exact = encoder_contraction(network, x)
    torch.manual_seed(2)
    probed = torch.stack([encoder_contraction(network, x, probes=100).detach() for _ in range(30)])
    error = probed.std(0) / 30**0.5
    assert ((probed.mean(0) - exact).abs() < 4 * error).all()
    assert torch.allclose(probed.mean(0), exact, rtol=0.05)
    one = torch.stack([encoder_contraction(network, x, probes=1).detach() for _ in range(200)])
    assert (one.std(0) > 5 * probed.std(0)).all()


def test_the_objective_is_reconstruction_plus_the_weighted_jacobian_where_x_was_encoded():
    noise = partial(GaussianNoise, sigma=0.3)
    weight = LinearWarmup(0.7, 4)
    network = partial(MLP, hidden=[13], activation="sigmoid")
    model = ContractiveAutoencoder(SPEC, latent_dim=5, network=network, corruption=noise, contraction=weight)
    torch.manual_seed(5)
    loss, means = model.objective(Batch(X), epoch=1.0)
    torch.manual_seed(5)
    inputs = model.corrupt(X)
    expected = benchmark.loop(model.network, inputs).mean()
    assert means["contraction"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert loss.item() == pytest.approx((means["reconstruction"] + 0.25 * 0.7 * means["contraction"]).item(), rel=1e-6)


def test_training_with_it_contracts_the_code_and_keeps_the_reconstruction():
    x = Digits(seed=0).split("fit").x[:200]
    contraction, error = {}, {}
    for weight in (0.0, 0.1):
        torch.manual_seed(0)
        network = partial(MLP, hidden=[40], activation="tanh", tied=True)
        model = ContractiveAutoencoder(SPEC, latent_dim=10, network=network, contraction=weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            optimizer.zero_grad()
            model.objective(Batch(x), epoch=0.0)[0].backward()
            optimizer.step()
        contraction[weight] = encoder_contraction(model.network, x).mean().item()
        error[weight] = (model(x) - x).square().mean().item()
    assert contraction[0.1] < 0.7 * contraction[0.0]
    assert error[0.1] < 1.5 * error[0.0] < x.var(0).mean()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"probes": -1}, "probes"),
        ({"contraction": -0.1}, "contraction"),
        ({"network": partial(Conv, normalization="batch")}, "don't mix"),
    ],
)
def test_what_makes_no_sense_is_refused(options, reason):
    with pytest.raises(UserError, match=reason):
        ContractiveAutoencoder(SPEC, **options)


def test_the_benchmark_compares_ways_that_agree():
    torch.manual_seed(0)
    network, x = MLP(benchmark.SPEC, Sizes(6), hidden=[10]), torch.rand(4, 784)
    times = benchmark.seconds(network, x, turns=1)
    assert times.keys() == benchmark.WAYS.keys()
    assert all(seconds > 0 for seconds in times.values())
    exact = [way(network, x) for name, way in benchmark.WAYS.items() if name != "one probe"]
    assert all(torch.allclose(found, exact[0], rtol=1e-4) for found in exact)
