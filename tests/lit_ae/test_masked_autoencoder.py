"""The masked autoencoder: what is hidden can't be seen, costs no computation, and alone is judged."""

from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lit_ae.errors import UserError
from lit_ae.likelihoods import Bernoulli, Gaussian, Likelihood, Multinomial
from lit_ae.networks import MLP, Transformer, UNet
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import MaskedAutoencoder

small = partial(Transformer, width=8, depth=2, heads=2)
IMAGE = DataSpec("made up", "image", (2, 7, 6), Rescale(0, 1), (0.0, 1.0), synthetic=True)
TABLE = DataSpec("made up", "table", (11,), Rescale(0, 1), (0.0, 1.0), synthetic=True)
SERIES = DataSpec("made up", "series", (10, 3), Rescale(0, 1), (0.0, 1.0), synthetic=True)
SEQUENCE = DataSpec("made up", "sequence", (12,), Rescale(0, 1), vocabulary=tuple("abcd"), pad=3)


class Letters(Likelihood):
    """Ids by a softmax over four outputs; padding costs a thousand nats, so that a test sees where it is counted."""

    outputs_per_feature = 4

    def log_prob(self, outputs, x):
        each = -torch.nn.functional.cross_entropy(outputs, x.long(), reduction="none")
        return torch.where(x == 3, -1000.0, each).flatten(1).sum(1)

    def mean(self, outputs):
        return outputs.argmax(1)

    def sample(self, outputs, generator=None):
        return outputs.argmax(1)


def made(spec, mask_ratio=0.6, **options):
    torch.manual_seed(1)
    options = {"likelihood": Letters} if spec.kind == "sequence" else options
    return MaskedAutoencoder(spec, latent_dim=3, network=small, mask_ratio=mask_ratio, **options)


def samples(spec, rows=5):
    generator = torch.Generator().manual_seed(2)
    if spec.kind != "sequence":
        return torch.rand(rows, *spec.shape, generator=generator)
    lengths = torch.tensor([12, 7, 4, 2, 1])[:rows, None]
    return torch.randint(3, (rows, 12), generator=generator).where(torch.arange(12) < lengths, 3)


def a_pass(model, x, inputs=None, seed=4):
    torch.manual_seed(seed)
    return model.forward_pass(x, x if inputs is None else inputs)


every_kind = pytest.mark.parametrize("spec", [IMAGE, TABLE, SERIES, SEQUENCE], ids=lambda spec: spec.kind)


@every_kind
def test_a_hidden_value_cant_influence_the_code(spec):
    model, x = made(spec), samples(spec)
    passed = a_pass(model, x)
    hidden = model.network.tokens.spread(passed.extra["hidden"])
    other = (x + 1) % 3 if spec.kind == "sequence" else torch.rand_like(x)
    assert torch.equal(a_pass(model, x, other.where(hidden, x)).latent.mean, passed.latent.mean)
    assert not torch.equal(a_pass(model, x, x.where(hidden, other.where(x != 3, x))).latent.mean, passed.latent.mean)


@every_kind
def test_the_asked_share_is_hidden_anew_for_every_sample(spec):
    model, x = made(spec, mask_ratio=0.6), samples(spec)
    hidden = a_pass(model, x).extra["hidden"]
    real = (x != 3) if spec.kind == "sequence" else torch.ones_like(hidden)
    assert not (hidden & ~real).any()
    for row, there in zip(hidden.sum(1).tolist(), real.sum(1).tolist(), strict=True):
        assert abs(row - 0.6 * there) <= 0.6
    assert not torch.equal(hidden[0], a_pass(model, x, seed=5).extra["hidden"][0])
    many = torch.stack([a_pass(model, x[:1], seed=seed).extra["hidden"][0] for seed in range(300)]).float().mean(0)
    assert (many - many.mean()).abs().max() < 0.15


def test_the_loss_is_that_of_the_hidden_features_alone():
    model, x = made(IMAGE, likelihood=Bernoulli), samples(IMAGE)
    passed = a_pass(model, x)
    p = model.likelihood.mean(model.network.decode(passed.latent.mean))
    each = -(x * p.log() + (1 - x) * (1 - p).log())
    for i in range(len(x)):
        places = passed.extra["hidden"][i].nonzero().flatten().tolist()
        expected = sum(each[i, :, 2 * (k // 3) : 2 * (k // 3) + 2, 2 * (k % 3) : 2 * (k % 3) + 2].sum() for k in places)
        assert model.terms(passed)["reconstruction"][i].item() == pytest.approx(expected.item(), rel=1e-4)


@every_kind
def test_the_target_counts_where_it_is_hidden_and_nowhere_else(spec):
    model, x = made(spec), samples(spec).float()
    x = x.clone().requires_grad_() if spec.kind != "sequence" else x
    passed = a_pass(model, x, x.detach())
    if spec.kind == "sequence":
        assert passed.log_likelihood.min() > -100
        assert passed.log_likelihood[0, 0] < 0
        return
    passed.log_likelihood.sum().backward()
    assert torch.equal(x.grad != 0, model.network.tokens.spread(passed.extra["hidden"]))


def test_a_predicted_variance_is_judged_where_it_belongs():
    model, x = made(TABLE, likelihood=partial(Gaussian, variance="predicted")), samples(TABLE)
    passed = a_pass(model, x)
    mean, log_var = model.network.decode(passed.latent.mean).unbind(1)
    each = torch.distributions.Normal(mean, (0.5 * log_var).exp()).log_prob(x)
    assert torch.allclose(passed.log_likelihood[0], (each * passed.extra["hidden"]).sum(1), atol=1e-4)


def test_the_encoders_cost_falls_with_the_mask_ratio():
    spec = DataSpec("made up", "image", (1, 16, 16), Rescale(0, 1), (0.0, 1.0), synthetic=True)
    x, seen, flops = torch.rand(3, 1, 16, 16), [], []
    for ratio in (0.25, 0.5, 0.75):
        model = made(spec, ratio)
        model.network.encoder[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
        places, _ = model.draw_mask(x)
        with FlopCounterMode(display=False) as counter:
            model.network.encode_visible(x, places)
        flops.append(counter.get_total_flops())
    with FlopCounterMode(display=False) as counter:
        made(spec).encode(x)
    assert seen == [48, 32, 16]
    whole = counter.get_total_flops()
    assert flops[2] < 0.5 * flops[1] + 0.01 * whole
    assert [share / whole < limit for share, limit in zip(flops, (0.75, 0.5, 0.25), strict=True)] == [True] * 3


def test_at_inference_nothing_is_hidden_unless_asked():
    model, x = made(IMAGE).eval(), samples(IMAGE)
    assert torch.equal(model.encode(x), model.network.encode(x))
    hidden = torch.zeros(5, model.network.tokens.count, dtype=torch.bool)
    hidden[:, [0, 5]] = True
    where = model.network.tokens.spread(hidden)
    filled = model.fill_in(x, hidden)
    assert torch.equal(filled.where(~where, 0), x.where(~where, 0))
    assert torch.equal(model.fill_in(torch.rand_like(x).where(where, x), hidden), filled)
    assert (filled != x)[where].all()


@pytest.mark.parametrize("network", [MLP, UNet])
def test_networks_that_must_see_all_are_refused(network):
    with pytest.raises(UserError, match=f"{network.__name__} can't see a part of x alone.*Transformer"):
        MaskedAutoencoder(IMAGE, network=network)


def test_a_mask_that_hides_all_or_nothing_is_refused():
    for ratio in (0.0, 1.0):
        with pytest.raises(UserError, match="between 0 and 1"):
            made(IMAGE, mask_ratio=ratio)
    with pytest.raises(UserError, match="a single token can't be seen in part"):
        made(DataSpec("one", "table", (1,), Rescale(0, 1)))


def test_a_likelihood_of_all_features_together_is_refused():
    with pytest.raises(UserError, match="judges feature by feature"):
        made(DataSpec("counts", "table", (4,), Rescale(0, 1)), likelihood=partial(Multinomial, total=5))
