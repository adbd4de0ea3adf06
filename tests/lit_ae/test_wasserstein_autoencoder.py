"""The discrepancy against an exact kernel sum, one pair at a time."""

from functools import partial

import pytest
import torch

from lit_ae.errors import UserError
from lit_ae.metrics.discrepancy import inverse_multiquadratic_mmd
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import WassersteinAutoencoder

SPEC = DataSpec("made up", "image", (1, 2, 3), Rescale(0, 1), (0.0, 1.0), synthetic=True)
X = torch.rand(7, 1, 2, 3, generator=torch.Generator().manual_seed(3))


def kernel(a, b, scales):
    distance = sum((float(p) - float(q)) ** 2 for p, q in zip(a, b, strict=True))
    constants = [2 * len(a) * scale for scale in scales]
    return sum(constant / (constant + distance) for constant in constants)


def exact(codes, drawn, scales):
    """Tolstikhin et al. 2018, algorithm 2, in plain Python."""
    n, total = len(codes), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += kernel(codes[i], codes[j], scales) / (n * (n - 1))
                total += kernel(drawn[i], drawn[j], scales) / (n * (n - 1))
            total -= 2 * kernel(codes[i], drawn[j], scales) / n**2
    return total


@pytest.mark.parametrize("scales", [[1.0], [0.1, 0.7, 3.0]])
def test_the_estimate_is_the_exact_kernel_sum(scales):
    generator = torch.Generator().manual_seed(0)
    codes = 2 + 3 * torch.randn(9, 4, generator=generator, dtype=torch.double)
    drawn = torch.randn(9, 4, generator=generator, dtype=torch.double)
    assert inverse_multiquadratic_mmd(codes, drawn, scales).item() == pytest.approx(exact(codes, drawn, scales))


def test_the_term_compares_the_codes_with_draws_from_the_prior():
    model = WassersteinAutoencoder(SPEC, latent_dim=3, network=partial(MLP, hidden=[]), mmd=4.5, scales=[0.3, 2.0])
    passed = model.forward_pass(X, X)
    torch.manual_seed(5)
    term = model.terms(passed)["mmd"]
    torch.manual_seed(5)
    drawn = torch.randn(7, 3)
    assert term.shape == (7,)
    assert torch.allclose(
        term, torch.tensor(exact(passed.latent.mean.tolist(), drawn.tolist(), [0.3, 2.0])).float(), atol=1e-5
    )
    assert model.weights["mmd"].final == 4.5


def test_it_is_zero_on_average_for_the_prior_itself_and_not_for_others():
    generator = torch.Generator().manual_seed(1)

    def mean_over_draws(shift, spread):
        pairs = [torch.randn(2, 12, 3, generator=generator) for _ in range(400)]
        values = torch.stack([inverse_multiquadratic_mmd(shift + spread * a, b, [0.1, 1.0, 10.0]) for a, b in pairs])
        return values.mean().item(), 5 * values.std().item() / 20

    mean, error = mean_over_draws(0.0, 1.0)
    assert abs(mean) < error
    for shift, spread in ((1.0, 1.0), (0.0, 0.2)):
        mean, error = mean_over_draws(shift, spread)
        assert mean > error


def test_its_gradient_draws_codes_to_the_prior():
    torch.manual_seed(0)
    codes = (1.5 + 0.3 * torch.randn(64, 2)).requires_grad_()
    optimizer = torch.optim.Adam([codes], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        inverse_multiquadratic_mmd(codes, torch.randn(64, 2), [1.0, 5.0]).backward()
        optimizer.step()
    assert codes.mean(0).abs().max() < 0.4
    assert (codes.std(0) - 1).abs().max() < 0.4


def test_a_single_row_gives_a_finite_value():
    assert inverse_multiquadratic_mmd(torch.ones(1, 2), torch.zeros(1, 2), [1.0]).item() == pytest.approx(-2 * 4 / 6)


def test_it_is_generative():
    model = WassersteinAutoencoder(SPEC, latent_dim=3, network=partial(MLP, hidden=[]))
    assert model.sample(5, torch.Generator().manual_seed(0)).shape == (5, 1, 2, 3)


@pytest.mark.parametrize("options", [{"mmd": -1.0}, {"scales": []}, {"scales": [1.0, 0.0]}])
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(UserError, match="scales"):
        WassersteinAutoencoder(SPEC, **options)
