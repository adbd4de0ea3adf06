from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lit_ae.errors import UserError
from lit_ae.networks import MLP, Conv, Sizes
from lit_ae.networks.base import initialize
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec


def image(*shape):
    return DataSpec("made up", "image", shape, Rescale(0, 1), (0.0, 1.0), synthetic=True)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 33), st.integers(1, 33), st.integers(1, 5), st.integers(1, 3),
    st.sampled_from([MLP, partial(MLP, hidden=[]), Conv, partial(Conv, channels=[3, 5, 6], kernel_size=5, hidden=7)]),
)  # fmt: skip
def test_any_image_size_comes_back(channels, height, width, latent_dim, outputs, network):
    made = network(image(channels, height, width), Sizes(latent_dim, 2, outputs))
    code = made.encode(torch.rand(2, channels, height, width))
    assert code.shape == (2, 2 * latent_dim)
    assert made.decode(code[:, :latent_dim]).shape == (2, outputs, channels, height, width)


@pytest.mark.parametrize("latent_parameters", [1, 2])
def test_tied_weights_are_the_encoders_transposed(latent_parameters):
    network = MLP(image(1, 2, 3), Sizes(4, latent_parameters), hidden=[5], tied=True)
    first, last = network.encoder[0], network.encoder[-1]
    z = torch.randn(7, 4)
    expected = torch.relu(z @ last.weight[:4] + network.decoder[0].bias) @ first.weight + network.decoder[-1].bias
    assert torch.allclose(network.decode(z).flatten(1), expected, atol=1e-6)
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"])
def test_every_activation_and_normalization_by_name(normalization, activation):
    for network in (partial(MLP, hidden=[8], dropout=0.1), partial(Conv, channels=[4])):
        made = network(image(1, 6, 5), Sizes(2), normalization=normalization, activation=activation)
        assert made.decode(made.encode(torch.rand(3, 1, 6, 5))).isfinite().all()


def test_initialization_by_name():
    torch.manual_seed(0)
    network = MLP(image(1, 8, 8), Sizes(4), hidden=[16])
    default = network.encoder[0].weight.clone()
    initialize(network, "default")
    assert torch.equal(network.encoder[0].weight, default)
    initialize(network, "orthogonal")
    rows = network.encoder[0].weight
    assert torch.allclose(rows @ rows.T, torch.eye(16), atol=1e-5)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: MLP(image(1, 2, 2), Sizes(2), hidden=[0]), "hidden"),
        (lambda: MLP(image(1, 2, 2), Sizes(2), dropout=1.0), "dropout"),
        (lambda: MLP(image(1, 2, 2), Sizes(2, 1, 2), tied=True), "tied"),
        (lambda: Conv(image(1, 2, 2), Sizes(2), kernel_size=4), "odd"),
        (lambda: Conv(DataSpec("rows", "table", (5,), Rescale(0, 1)), Sizes(2)), "MLP"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        wrong()
