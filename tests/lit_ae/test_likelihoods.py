import math

import pytest
import torch
from torch import distributions as D

from lit_ae.errors import UserError
from lit_ae.likelihoods import Bernoulli, Gaussian
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec


def spec_of(value_range=(0.0, 1.0)):
    return DataSpec("made up", "image", (2, 3, 4), Rescale(0, 1), value_range, synthetic=True)


X = torch.rand(5, 2, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
OUTPUTS = torch.randn(5, 2, 2, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.double)


def test_a_fixed_gaussian_is_torchs():
    expected = D.Normal(OUTPUTS[:, 0], math.sqrt(0.3)).log_prob(X).flatten(1).sum(1)
    assert torch.allclose(Gaussian(spec_of(), variance=0.3).log_prob(OUTPUTS[:, :1], X), expected, rtol=1e-6)


def test_a_learned_variance_is_torchs_and_learns():
    likelihood = Gaussian(spec_of(), variance="learned")
    likelihood.log_var.data.fill_(-1.7)
    log_prob = likelihood.log_prob(OUTPUTS[:, :1], X)
    assert torch.allclose(log_prob, D.Normal(OUTPUTS[:, 0], math.exp(-0.85)).log_prob(X).flatten(1).sum(1), rtol=1e-6)
    log_prob.sum().backward()
    assert likelihood.log_var.grad.abs() > 0


def test_a_predicted_variance_is_torchs():
    likelihood = Gaussian(spec_of(), variance="predicted")
    assert likelihood.outputs_per_feature == 2
    expected = D.Normal(OUTPUTS[:, 0], (0.5 * OUTPUTS[:, 1]).exp()).log_prob(X).flatten(1).sum(1)
    assert torch.allclose(likelihood.log_prob(OUTPUTS, X), expected)


def test_a_bounded_mean_stays_in_the_datas_range():
    likelihood = Gaussian(spec_of((-1.0, 3.0)), bounded=True)
    mean = likelihood.mean(1000 * OUTPUTS[:, :1])
    assert mean.min() >= -1
    assert mean.max() <= 3
    assert torch.allclose(likelihood.mean(torch.zeros(1, 1, 2, 3, 4)), torch.ones(1, 2, 3, 4))


def test_bernoulli_is_torchs_also_for_grey_levels():
    likelihood = Bernoulli(spec_of())
    coins = (X > 0.5).double()
    expected = D.Bernoulli(logits=OUTPUTS[:, 0]).log_prob(coins).flatten(1).sum(1)
    assert torch.allclose(likelihood.log_prob(OUTPUTS[:, :1], coins), expected)
    p = OUTPUTS[:, 0].sigmoid()
    grey = (X * p.log() + (1 - X) * (1 - p).log()).flatten(1).sum(1)
    assert torch.allclose(likelihood.log_prob(OUTPUTS[:, :1], X), grey)
    assert torch.allclose(likelihood.mean(OUTPUTS[:, :1]), p)


@pytest.mark.parametrize("likelihood", [Gaussian, Bernoulli])
def test_samples_have_the_likelihoods_mean(likelihood):
    made = likelihood(spec_of())
    outputs = OUTPUTS[:1, :1].expand(4000, -1, -1, -1, -1)
    drawn = made.sample(outputs, torch.Generator().manual_seed(0)).mean(0)
    assert torch.allclose(drawn, made.mean(outputs)[0], atol=0.1)


@pytest.mark.parametrize("value_range", [None, (-1.0, 1.0), (0.0, 255.0)])
def test_bernoulli_refuses_what_it_cannot_fit(value_range):
    with pytest.raises(UserError, match=r"\[0, 1\].*Gaussian"):
        Bernoulli(spec_of(value_range))


def test_gaussian_refuses_no_variance_and_bounds_without_a_range():
    with pytest.raises(UserError, match="variance"):
        Gaussian(spec_of(), variance=0.0)
    with pytest.raises(UserError, match="bounded"):
        Gaussian(spec_of(None), bounded=True)


def test_half_precision_outputs_are_judged_in_full_precision():
    outputs = OUTPUTS[:, :1].bfloat16()
    for likelihood in (Gaussian(spec_of()), Bernoulli(spec_of())):
        assert likelihood.log_prob(outputs, X.float()).dtype == torch.float32
