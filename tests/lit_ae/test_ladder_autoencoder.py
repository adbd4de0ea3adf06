"""The ladder: without noise and weights the plain autoencoder; layer costs, combinator and labels by hand."""

from functools import partial

import pytest
import torch
from torch import nn

from data import Digits
from lit_ae.batch import Batch
from lit_ae.errors import UserError
from lit_ae.ladders import Combinator, Ladder, variance
from lit_ae.likelihoods import Bernoulli
from lit_ae.networks import MLP, Conv, Sizes
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder, LadderAutoencoder

X = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(1))
Y = torch.arange(30) % 10


def a_ladder(network=None, **options):
    torch.manual_seed(5)
    return LadderAutoencoder(Digits().spec, latent_dim=4, network=network or partial(MLP, hidden=[12, 7]), **options)


def stir(model):
    """Moves every parameter away from its start."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return model


@pytest.mark.parametrize("options", [
    {"activation": "tanh"}, {"normalization": "batch", "dropout": 0.3}, {"tied": True}, {"hidden": []},
])  # fmt: skip
def test_without_noise_and_weights_it_is_the_plain_autoencoder(options):
    """Also after its parameters have moved: the same loss, gradients and reconstructions."""
    network = partial(MLP, **{"hidden": [12, 7], **options})
    ladder = stir(a_ladder(network, noise=0.0, denoising=[0.0], likelihood=Bernoulli))
    plain = Autoencoder(Digits().spec, latent_dim=4, network=network, likelihood=Bernoulli)
    plain.load_state_dict({n: v for n, v in ladder.state_dict().items() if n in plain.state_dict()})
    losses = []
    for model in (ladder, plain):
        torch.manual_seed(0)
        loss, _ = model.objective(Batch(X, Y), epoch=0.0)
        loss.backward()
        losses.append(loss)
    assert torch.equal(*losses)
    theirs = dict(ladder.named_parameters())
    for name, parameter in plain.named_parameters():
        assert torch.allclose(parameter.grad, theirs.pop(name).grad, atol=1e-7)
    assert all(not parameter.grad.any() for parameter in theirs.values())
    assert torch.equal(ladder.eval()(X), plain.eval()(X))


def test_the_combinator_is_the_papers_equation():
    combinator = stir(Combinator(3)).double()
    z, u = torch.randn(2, 6, 3, dtype=torch.float64)
    a = combinator.a.detach()
    for n in range(6):
        for i in range(3):
            above = u[n, i]
            mean = a[0, i] / (1 + (-a[1, i] * above - a[2, i]).exp()) + a[3, i] * above + a[4, i]
            variance = a[5, i] / (1 + (-a[6, i] * above - a[7, i]).exp()) + a[8, i] * above + a[9, i]
            assert combinator(z, u)[n, i].item() == pytest.approx(((z[n, i] - mean) * variance + mean).item())
    assert torch.equal(Combinator(3)(z.float(), u.float()), u.float())


def test_each_layers_cost_is_that_of_a_ladder_walked_by_hand():
    ladder = stir(a_ladder(noise=0.4, likelihood=Bernoulli, denoising=[2.0, 0.3])).double()
    x = X.double()
    torch.manual_seed(7)
    terms = ladder.terms(ladder.forward_pass(x, x))
    torch.manual_seed(7)
    encoder, decoder, g = ladder.network.encoder, ladder.network.decoder, ladder.ladder.combinators
    noises = [0.4 * torch.randn(30, width, dtype=torch.float64) for width in (64, 12, 7, 4)]
    z1 = encoder[0](x.flatten(1))
    z2 = encoder[2](z1.relu())
    z3 = encoder[4](z2.relu())
    n0 = x.flatten(1) + noises[0]
    n1 = encoder[0](n0) + noises[1]
    n2 = encoder[2](n1.relu()) + noises[2]
    n3 = encoder[4](n2.relu()) + noises[3]
    e3 = g[3](n3, n3)
    e2 = g[2](n2, decoder[0](e3))
    e1 = g[1](n1, decoder[2](e2.relu()))
    p = g[0](n0, decoder[4](e1.relu())).sigmoid()
    expected = -(x.flatten(1) * p.log() + (1 - x.flatten(1)) * (1 - p).log()).sum(1)
    assert torch.allclose(terms["denoising_0"], expected)
    for layer, clean, estimate in ((1, z1, e1), (2, z2, e2), (3, z3, e3)):
        mean, deviation = clean.mean(0), clean.std(0, unbiased=False)
        normalised = (clean - mean) / deviation - (estimate - mean) / deviation
        assert torch.allclose(terms[f"denoising_{layer}"], 0.5 * normalised.square().sum(1))
    finals = {name: ladder.weights[name].final for name in terms}
    assert finals == {"reconstruction": 1.0, **{f"denoising_{i}": w for i, w in enumerate((2.0, 0.3, 0.3, 0.3))}}


def test_a_layers_scale_falls_out_of_its_cost():
    """Or it would become cheap by fading; rows that only fill up a process's share do not count."""
    z = 3.0 + torch.randn(50, 5, generator=torch.Generator().manual_seed(1))
    filled, real = torch.cat([z, torch.zeros(4, 5)]), torch.arange(54) < 50
    assert torch.allclose(variance(filled, real), z.var(0, unbiased=False), rtol=1e-5)
    assert torch.allclose(variance(filled * 0.1, real), 0.01 * variance(filled, real), rtol=1e-4)


def test_labels_of_the_share_alone_count_and_are_always_the_same_rows():
    model = a_ladder(labelled_share=0.25, noise=0.0)
    rows = torch.tensor([3, 500, 41, 7, 999, 12, 13, 14])
    batch = Batch(X[:8], Y[:8], 1.0, rows)
    chosen = batch.labelled(0.25)
    everyone = Batch(torch.zeros(1000, 1), rows=torch.arange(1000)).labelled(0.25)
    assert everyone.float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(chosen, everyone[rows])
    assert 0 < chosen.sum() < 8
    torch.manual_seed(0)
    _, means = model.objective(batch, epoch=0.0)
    logits = model.labels.classifier(model.encode(X[:8]))
    expected = nn.functional.cross_entropy(logits[chosen], Y[:8][chosen], reduction="sum") / 0.25 / 8
    assert means["classification"].item() == pytest.approx(expected.item(), rel=1e-5)
    hidden = Y[:8].clone()
    hidden[~chosen] = 9 - hidden[~chosen]
    assert torch.equal(
        model.objective(batch._replace(y=hidden), epoch=0.0)[1]["classification"], means["classification"]
    )
    accuracy = (logits.argmax(1) == Y[:8]).float().mean()
    assert model.objective(batch, epoch=None)[1]["accuracy"] == accuracy


def test_the_rows_of_the_data_reach_the_batch():
    data = Digits(batch_size=50, fit_rows=150, seed=1)
    for batch in data.train_dataloader():
        assert torch.equal(batch.x, data.split("fit").x[batch.rows])


def test_few_labels_help_a_ladder_to_classify():
    data = Digits(seed=1)
    split, test = data.split("fit"), data.split("tune")
    model = a_ladder(partial(MLP, hidden=[64]), labelled_share=0.1, noise=0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    batch = Batch(split.x, split.y, rows=torch.arange(len(split)))
    for _ in range(120):
        optimizer.zero_grad()
        model.objective(batch, epoch=1.0)[0].backward()
        optimizer.step()
    with torch.no_grad():
        assert model.objective(Batch(test.x, test.y), epoch=None)[1]["accuracy"] > 0.6


def test_what_has_no_ladder_is_refused():
    table = DataSpec("a table", "table", (5,), Rescale(0, 1))
    with pytest.raises(UserError, match=r"use --model\.network MLP"):
        a_ladder(Conv)
    with pytest.raises(UserError, match=r"use --model\.network MLP"):
        Ladder(Conv(Digits().spec, Sizes(2)), Digits().spec, 0.3, [1.0])
    with pytest.raises(UserError, match="1 to 4 weights"):
        a_ladder(denoising=[1.0] * 5)
    with pytest.raises(UserError, match="a table has no labels"):
        LadderAutoencoder(table, labelled_share=0.5)
    with pytest.raises(UserError, match=r"lie in \[0, 1\]"):
        a_ladder(labelled_share=1.5)
