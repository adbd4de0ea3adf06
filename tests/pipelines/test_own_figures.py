"""Figures that some variants alone have, against direct computations."""

from functools import partial

import pytest
import torch

from lit_ae.metrics.baseline import PrincipalComponents
from lit_ae.networks import MLP, Transformer
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder, MaskedAutoencoder
from pipelines.judging.own_figures import own_figures

SPEC = DataSpec("made up", "table", (6,), Rescale(0, 1), synthetic=True)


def correlated(rows, seed):
    """Two factors seen in six features, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    loadings = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    return torch.randn(rows, 2, generator=generator) @ loadings + 0.1 * torch.randn(rows, 6, generator=generator) + 1


def test_filled_in_is_the_conditional_mean_of_the_gaussian_that_the_components_stand_for():
    x, rows = correlated(500, seed=1), correlated(20, seed=2)
    hidden = torch.rand(rows.shape, generator=torch.Generator().manual_seed(3)) < 0.5
    filled = PrincipalComponents(x, 2).fill_in(rows, hidden)
    values, vectors = torch.linalg.eigh(x.double().T.cov())
    noise = values[:-2].mean()
    covariance = (vectors[:, -2:] * (values[-2:] - noise)) @ vectors[:, -2:].T + noise * torch.eye(6)
    mean = x.double().mean(0)
    for row, unseen, guess in zip(rows.double(), hidden, filled, strict=True):
        of_seen = torch.linalg.solve(covariance[~unseen][:, ~unseen], (row - mean)[~unseen])
        assert torch.allclose(
            guess[unseen].double(), mean[unseen] + covariance[unseen][:, ~unseen] @ of_seen, atol=1e-4
        )
        assert torch.equal(guess[~unseen].double(), row[~unseen])


def test_the_first_components_alone_are_those_of_a_smaller_pca():
    x = correlated(300, seed=4)
    assert torch.allclose(PrincipalComponents(x, 4).first(2, x), PrincipalComponents(x, 2).reconstruct(x), atol=1e-5)


def test_a_masked_autoencoder_is_judged_on_what_it_does_not_see():
    torch.manual_seed(0)
    network = partial(Transformer, width=8, depth=1, heads=2)
    model = MaskedAutoencoder(SPEC, latent_dim=2, mask_ratio=0.5, network=network).eval()
    x = correlated(1500, seed=5)
    figures, protocol = own_figures(model, x, PrincipalComponents(x, 2))
    torch.manual_seed(0)
    hidden = model.draw_mask(x)[1]
    with torch.no_grad():
        expected = (model.fill_in(x, hidden) - x)[hidden].square().mean()
    assert figures["test/hidden_mse"] == pytest.approx(expected.item(), rel=1e-5)
    assert figures["pca/hidden_mse"] < 0.5 * x.var().item()
    assert "50% of the tokens" in protocol["hidden_mse"]


def test_a_grown_code_is_judged_by_its_first_quarter():
    torch.manual_seed(0)
    model = Autoencoder(SPEC, latent_dim=4, network=partial(MLP, hidden=[8]), growth_epochs=1.0).eval()
    x = correlated(50, seed=6)
    figures, _ = own_figures(model, x, PrincipalComponents(x, 4))
    with torch.no_grad():
        code = model.encode(x)
        code[:, 1:] = 0
        expected = (model.decode(code) - x).square().mean().item()
    assert figures["test/first_quarter_mse"] == pytest.approx(expected, rel=1e-5)
    one = (PrincipalComponents(x, 1).reconstruct(x) - x).square().mean().item()
    assert figures["pca/first_quarter_mse"] == pytest.approx(one, rel=1e-4)


def test_a_plain_autoencoder_has_none():
    x = correlated(50, seed=7)
    assert own_figures(Autoencoder(SPEC, latent_dim=2), x, PrincipalComponents(x, 2)) == ({}, {})
