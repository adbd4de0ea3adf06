"""Laplace, continuous Bernoulli, Categorical, Poisson and Multinomial against torch.distributions."""

import math
from decimal import Decimal, localcontext
from functools import partial

import pytest
import torch
from torch import distributions as D

from lit_ae.errors import UserError
from lit_ae.likelihoods import Categorical, ContinuousBernoulli, Laplace, Multinomial, Poisson
from lit_ae.likelihoods.unit_interval import log_normalizer
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

SHAPE = (2, 3, 4)


def spec_of(value_range=(0.0, 1.0), kind="image", binarize="none"):
    return DataSpec("made up", kind, SHAPE, Rescale(0, 1), value_range, binarize, synthetic=True)


X = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.double)
COUNTS = torch.randint(0, 9, (5, *SHAPE), generator=torch.Generator().manual_seed(4)).double()
OUTPUTS = torch.randn(5, 6, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.double)
FIRST = OUTPUTS[:, 0]


def summed(log_prob):
    return log_prob.flatten(1).sum(1)


def test_a_fixed_laplace_is_torchs():
    expected = summed(D.Laplace(FIRST, 0.3).log_prob(X))
    assert torch.allclose(Laplace(spec_of(), scale=0.3).log_prob(OUTPUTS[:, :1], X), expected, rtol=1e-6)


def test_a_learned_scale_is_torchs_and_learns():
    likelihood = Laplace(spec_of((-1.0, 3.0)), scale="learned", bounded=True)
    assert likelihood.log_scale.item() == pytest.approx(math.log(0.1))
    likelihood.log_scale.data.fill_(-0.7)
    log_prob = likelihood.log_prob(OUTPUTS[:, :1], X)
    expected = D.Laplace(-1 + 4 * FIRST.sigmoid(), math.exp(-0.7)).log_prob(X)
    assert torch.allclose(log_prob, summed(expected), rtol=1e-6)
    log_prob.sum().backward()
    assert likelihood.log_scale.grad.abs() > 0
    assert "log_scale" not in Laplace(spec_of(), scale=0.3).state_dict()


@pytest.mark.parametrize("size", [1.0, 8.0])
def test_the_continuous_bernoulli_is_torchs(size):
    logits = size * OUTPUTS[:, :1]
    likelihood, reference = ContinuousBernoulli(spec_of()), D.ContinuousBernoulli(logits=logits[:, 0])
    assert torch.allclose(likelihood.log_prob(logits, X), summed(reference.log_prob(X)), atol=1e-6)
    assert torch.allclose(likelihood.mean(logits), reference.mean, atol=1e-6)


def exactly(logit):
    """log((exp(η) - 1) / η), its derivative, and so the mean, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        eta = Decimal(logit)
        power = eta.exp()
        return float(((power - 1) / eta).ln()), float(power / (power - 1) - 1 / eta)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-4, 1e-2, 0.2, 0.2499, 0.2501, 0.5, 3.0, 40.0, 500.0])
def test_the_log_normalizer_and_its_gradient_are_exact_also_around_zero(size, sign):
    value, slope = exactly(sign * size)
    for dtype, error in ((torch.double, 1e-13), (torch.float, 3e-6)):
        logit = torch.tensor(sign * size, dtype=dtype, requires_grad=True)
        found = log_normalizer(logit)
        found.backward()
        value_of_dtype, slope_of_dtype = exactly(logit.item())
        assert found.item() == pytest.approx(value_of_dtype, rel=error, abs=error)
        assert logit.grad.item() == pytest.approx(slope_of_dtype, rel=error, abs=error)
        mean = ContinuousBernoulli(spec_of()).mean(logit.detach().expand(1, 1, *SHAPE))
        assert mean.unique().item() == pytest.approx(slope_of_dtype, rel=error, abs=error)
    assert 0 < slope < 1
    assert math.isfinite(value)


def test_at_logit_zero_the_continuous_bernoulli_is_uniform():
    logit = torch.zeros((), requires_grad=True)
    value = log_normalizer(logit)
    value.backward()
    assert (value.item(), logit.grad.item()) == (0, 0.5)


def test_categorical_is_torchs_at_the_nearest_level():
    likelihood = Categorical(spec_of((-1.0, 1.0)), levels=6)
    assert likelihood.outputs_per_feature == 6
    level = torch.randint(0, 6, (5, *SHAPE), generator=torch.Generator().manual_seed(3))
    values = torch.linspace(-1, 1, 6).double()
    x = values[level] + 0.19 * (2 * X - 1)
    reference = D.Categorical(logits=OUTPUTS.movedim(1, -1))
    assert torch.allclose(likelihood.log_prob(OUTPUTS, x), summed(reference.log_prob(level)))
    assert torch.allclose(likelihood.mean(OUTPUTS), (reference.probs * values).sum(-1))
    drawn = likelihood.sample(OUTPUTS, torch.Generator().manual_seed(0))
    assert (drawn[..., None] - values).abs().min(-1).values.max() < 1e-7


def test_categorical_over_a_vocabulary_answers_with_the_most_probable_token():
    likelihood = Categorical(spec_of((0.0, 5.0), kind="sequence"), levels=6)
    assert torch.equal(likelihood.mean(OUTPUTS), OUTPUTS.argmax(1).double())
    assert torch.allclose(likelihood.log_prob(OUTPUTS, likelihood.mean(OUTPUTS)),
                          summed(OUTPUTS.log_softmax(1).max(1).values))  # fmt: skip


@pytest.mark.parametrize("unit", [1.0, 0.125])
def test_poisson_is_torchs(unit):
    likelihood = Poisson(spec_of((0.0, 8 * unit)), unit=unit)
    outputs = 4 * OUTPUTS[:, :1]
    reference = D.Poisson(torch.nn.functional.softplus(outputs[:, 0]))
    assert torch.allclose(likelihood.log_prob(outputs, unit * COUNTS), summed(reference.log_prob(COUNTS)))
    assert torch.allclose(likelihood.mean(outputs), unit * reference.mean)


@pytest.mark.parametrize("output", [-300.0, -15.0001, -14.9999, 0.0, 1e4])
def test_a_poissons_tiny_and_huge_rates_have_finite_values_and_gradients(output):
    outputs = torch.full((1, 1, *SHAPE), output, requires_grad=True)
    value = Poisson(spec_of((0.0, torch.inf))).log_prob(outputs, torch.full((1, *SHAPE), 3.0))
    value.sum().backward()
    rate = math.log1p(math.exp(output)) if output < 30 else output
    log_rate = math.log(rate) if output > -30 else output
    assert value.item() == pytest.approx(24 * (3 * log_rate - rate - math.log(6)), rel=1e-5)
    slope = (3 / rate - 1) / (1 + math.exp(-output)) if output > -30 else 3.0
    assert torch.allclose(outputs.grad, torch.full_like(outputs, slope), rtol=1e-4)


@pytest.mark.parametrize("unit", [1.0, 0.125])
def test_multinomial_is_torchs(unit):
    likelihood = Multinomial(spec_of((0.0, 8 * unit)), total=40, unit=unit)
    for outputs, counts in zip(OUTPUTS[:, :1], COUNTS, strict=True):
        reference = D.Multinomial(int(counts.sum()), logits=outputs.flatten())
        found = likelihood.log_prob(outputs[None], unit * counts[None])
        assert torch.allclose(found, reference.log_prob(counts.flatten()))
        mean = likelihood.mean(outputs[None])
        assert torch.allclose(mean.flatten(), 40 * unit * reference.probs)
    drawn = likelihood.sample(OUTPUTS[:, :1], torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.flatten(1).sum(1), torch.full((5,), 40 * unit).double())


MADE = {
    "laplace": (partial(Laplace, scale=0.5), (0.0, 1.0)),
    "continuous bernoulli": (ContinuousBernoulli, (0.0, 1.0)),
    "categorical": (partial(Categorical, levels=6), (0.0, 1.0)),
    "poisson": (partial(Poisson, unit=0.25), (0.0, 1.0)),
    "multinomial": (partial(Multinomial, total=20, unit=0.25), (0.0, 1.0)),
}


@pytest.fixture(params=MADE, ids=str)
def made(request):
    likelihood, value_range = MADE[request.param]
    return likelihood(spec_of(value_range))


def test_samples_have_the_likelihoods_mean_and_are_the_same_for_the_same_seed(made):
    outputs = 2 * OUTPUTS[:1, : made.outputs_per_feature]
    many = outputs.expand(6000, -1, -1, -1, -1)
    drawn = made.sample(many, torch.Generator().manual_seed(0))
    assert drawn.shape == (6000, *SHAPE)
    error = drawn.std(0) / math.sqrt(6000)
    assert ((drawn.mean(0) - made.mean(outputs)[0]).abs() <= 5 * error + 1e-9).all()
    assert torch.equal(drawn, made.sample(many, torch.Generator().manual_seed(0)))


def test_half_precision_outputs_are_judged_in_full_precision(made):
    outputs = OUTPUTS[:, : made.outputs_per_feature].bfloat16()
    assert made.log_prob(outputs, COUNTS.float() / 8).dtype == torch.float32
    assert made.mean(outputs).dtype == torch.float32
    assert made.sample(outputs).dtype == torch.float32


def test_a_probability_adds_up_to_one_over_all_counts():
    spec = DataSpec("made up", "table", (1,), Rescale(0, 1), (0.0, 200.0), synthetic=True)
    every = torch.arange(200.0).double()[:, None]
    outputs = torch.full((200, 1, 1), 3.3).double()
    assert Poisson(spec).log_prob(outputs, every).exp().sum().item() == pytest.approx(1)


REFUSED = [
    (lambda: Laplace(spec_of(), scale=0.0), "scale"),
    (lambda: Laplace(spec_of(None), bounded=True), "bounded"),
    (lambda: ContinuousBernoulli(spec_of((-1.0, 1.0))), r"\[0, 1\].*Gaussian"),
    (lambda: ContinuousBernoulli(spec_of(None)), "unbounded"),
    (lambda: ContinuousBernoulli(spec_of(binarize="dynamic")), "Bernoulli"),
    (lambda: Categorical(spec_of(), levels=1), "levels"),
    (lambda: Categorical(spec_of(None)), "value range"),
    (lambda: Categorical(spec_of((0.0, 9.0), kind="sequence"), levels=6), "10 tokens"),
    (lambda: Poisson(spec_of()), "unit"),
    (lambda: Poisson(spec_of((-1.0, 1.0)), unit=0.5), "counts"),
    (lambda: Poisson(spec_of((0.0, 1.0)), unit=0.3), "counts"),
    (lambda: Poisson(spec_of((0.0, 9.0)), unit=0.0), "above 0"),
    (lambda: Multinomial(spec_of(), total=5), "counts"),
    (lambda: Multinomial(spec_of((0.0, 9.0)), total=0), "total"),
    (lambda: Multinomial(spec_of((0.0, 9.0))), "total"),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSED)
def test_what_it_cannot_fit_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        wrong()


def test_counts_without_a_bound_and_coins_are_taken():
    assert Poisson(spec_of(None)).unit == 1
    assert Multinomial(spec_of((0.0, torch.inf)), total=3).total == 3
    assert Poisson(spec_of(binarize="threshold")).unit == 1
