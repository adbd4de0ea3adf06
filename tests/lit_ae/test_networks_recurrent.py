"""The recurrent network: padding, teacher forcing, greedy and drawn decoding, against independent oracles."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from lit_ae.batch import Batch
from lit_ae.errors import UserError
from lit_ae.likelihoods import Gaussian, Likelihood
from lit_ae.networks import Recurrent, Sizes
from lit_ae.networks.base import initialize
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE, Autoencoder

small = partial(Recurrent, hidden=7, embedding=5)
kinds_of_cells = st.sampled_from(["gru", "lstm"])


def sequences(length, vocabulary, pad=None):
    tokens = tuple(f"<{i}>" for i in range(vocabulary))
    return DataSpec("letters", "sequence", (length,), Rescale(0, 1, lowest=0.0), vocabulary=tokens, pad=pad)


def series(length, features, pad=None):
    return DataSpec("waves", "series", (length, features), Rescale(0, 1), pad=pad)


class TokenLikelihood(Likelihood):
    """Ids by a softmax over the outputs; what is padding costs nothing."""

    compares_ids = True

    def __init__(self, spec):
        super().__init__(spec)
        self.outputs_per_feature, self.pad = len(spec.vocabulary), spec.pad

    def log_prob(self, outputs, x):
        return -nn.functional.cross_entropy(outputs, x.long(), ignore_index=self.pad, reduction="none").sum(1)

    def mean(self, outputs):
        return outputs.argmax(1).to(outputs.dtype)

    def sample(self, outputs, generator=None):
        flat = outputs.softmax(1).transpose(1, 2).flatten(0, 1)
        return torch.multinomial(flat, 1, generator=generator).view(len(outputs), -1).float()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), kinds_of_cells, st.booleans(),
    st.integers(1, 3),
)  # fmt: skip
def test_any_length_and_width_comes_back(length, features, latent_dim, outputs, cell, bidirectional, layers):
    options = {"cell": cell, "bidirectional": bidirectional, "layers": layers, "dropout": 0.1, "word_dropout": 0.2}
    for spec, x in (
        (series(length, features), torch.rand(2, length, features)),
        (sequences(length, features + 1), torch.randint(features + 1, (2, length))),
        (
            DataSpec("made up", "image", (outputs, length, features), Rescale(0, 1)),
            torch.rand(2, outputs, length, features),
        ),
    ):
        per_feature = features + 1 if spec.kind == "sequence" else outputs
        made = small(spec, Sizes(latent_dim, 2, per_feature), **options)
        z = made.encode(x)[:, :latent_dim]
        assert z.shape == (2, latent_dim)
        assert made.decode(z, target=x).shape == made.decode(z).shape == (2, per_feature, *spec.shape)
        assert made.generate(z, lambda o, s=spec: o.argmax(1) if s.kind == "sequence" else o[:, 0]).shape == x.shape


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 5), kinds_of_cells, st.booleans(),
    st.integers(1, 2), st.randoms(use_true_random=False),
)  # fmt: skip
def test_padding_changes_no_code(lengths, more, cell, bidirectional, layers, chance):
    network = small(sequences(6, 5, pad=2), Sizes(3), cell=cell, bidirectional=bidirectional, layers=layers).eval()
    rows = [[chance.choice([0, 1, 3, 4]) for _ in range(length)] for length in lengths]
    x = torch.tensor([row + [2] * (6 - len(row)) for row in rows])
    code = network.encode(x)
    assert torch.allclose(network.encode(torch.cat([x, torch.full((len(x), more), 2)], dim=1)), code, atol=1e-6)
    between = torch.stack([x, torch.full_like(x, 2)], dim=2).flatten(1)
    assert torch.allclose(network.encode(between), code, atol=1e-6)
    for row, own in zip(rows, code, strict=True):
        if row:
            assert torch.allclose(network.encode(torch.tensor([row]))[0], own, atol=1e-6)
            before = torch.tensor([[2] * more + row])
            assert torch.allclose(network.encode(before)[0], own, atol=1e-6)


def test_padded_steps_of_a_series_change_no_code():
    network = small(series(6, 2, pad=-9.0), Sizes(3))
    x = torch.rand(4, 3, 2)
    padded = torch.cat([x, torch.full((4, 3, 2), -9.0)], dim=1)
    assert torch.allclose(network.encode(x), network.encode(padded), atol=1e-6)
    padded[:, 4, 1] = 0.5
    assert not torch.allclose(network.encode(x), network.encode(padded), atol=1e-3)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_encoder_is_pytorchs_over_packed_sequences(cell, bidirectional):
    network = small(sequences(8, 5, pad=0), Sizes(3), cell=cell, bidirectional=bidirectional, layers=2)
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](5, 7, 2, batch_first=True, bidirectional=bidirectional)
    for i in range(2):
        for suffix, layer in (
            ("", network.encoder.forth[i]),
            *(("_reverse", back[i]) for back in [network.encoder.back] if back),
        ):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{i}{suffix}").data = getattr(layer, f"{name}_l0").data
    lengths = torch.tensor([8, 1, 5, 3])
    x = torch.randint(1, 5, (4, 8)).masked_fill(torch.arange(8) >= lengths[:, None], 0)
    packed = pack_padded_sequence(network.embedding.map(x), lengths, batch_first=True, enforce_sorted=False)
    _, last = theirs(packed)
    last = last[0] if cell == "lstm" else last
    ends = last[-2:].transpose(0, 1).flatten(1) if bidirectional else last[-1]
    assert torch.allclose(network.encode(x), network.code(ends), atol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_in_training_a_step_is_told_from_the_steps_before_it(cell):
    network = small(sequences(6, 5), Sizes(3, 1, 5), cell=cell, layers=2).eval()
    z, target = torch.randn(2, 3), torch.randint(5, (2, 6))
    outputs = network.decode(z, target=target)
    for place in range(6):
        changed = target.clone()
        changed[:, place] = (changed[:, place] + 1) % 5
        differs = (network.decode(z, target=changed) - outputs).abs().amax((0, 1)) > 1e-6
        assert differs.tolist() == [step > place for step in range(6)]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_greedy_decoding_is_teacher_forcing_by_its_own_choice(cell):
    torch.manual_seed(3)
    network = small(sequences(6, 5), Sizes(3, 1, 5), cell=cell, layers=2, word_dropout=0.5).eval()
    for parameter in network.parameters():
        parameter.data.mul_(3)
    z = torch.randn(8, 3)
    outputs = network.decode(z)
    assert len(outputs.argmax(1).unique()) > 1
    assert torch.allclose(network.decode(z, target=outputs.argmax(1)), outputs, atol=1e-5)


def test_a_series_is_fed_back_as_the_likelihoods_mean():
    spec = DataSpec("waves", "series", (5, 2), Rescale(0, 1), value_range=(-3.0, 3.0))
    model = Autoencoder(
        spec, latent_dim=3, network=small, likelihood=partial(Gaussian, variance="predicted", bounded=True)
    )
    z = torch.randn(4, 3)
    x_hat = model.decode(z)
    teacher_forced = model.likelihood.mean(model.network.decode(z, target=x_hat))
    assert torch.allclose(teacher_forced, x_hat, atol=1e-5)
    assert x_hat.abs().max() < 3


def test_dropped_words_are_unseen_in_training_and_seen_otherwise():
    network = small(sequences(6, 5), Sizes(3, 1, 5), word_dropout=1 - 1e-7)
    z, one, other = torch.randn(2, 3), torch.zeros(2, 6, dtype=torch.long), torch.ones(2, 6, dtype=torch.long)
    assert torch.equal(network.decode(z, target=one), network.decode(z, target=other))
    network.eval()
    assert not torch.allclose(network.decode(z, target=one), network.decode(z, target=other), atol=1e-4)


def test_drawn_sequences_follow_the_decoders_joint_distribution():
    """Against the probability of every sequence, as teacher forcing gives it."""
    torch.manual_seed(5)
    model = VAE(sequences(3, 2, pad=-1), latent_dim=2, network=small, likelihood=TokenLikelihood)
    for parameter in model.network.decoder.parameters():
        parameter.data.mul_(4)
    model.network.head.weight.data.mul_(8)
    every = torch.tensor(list(itertools.product(range(2), repeat=3)))
    z = torch.tensor([[1.0, -1.0]])
    exact = model.log_likelihood(every, z.expand(1, 8, 2))[0].exp()
    drawn = model.generate(z.expand(20_000, 2), torch.Generator().manual_seed(0)).long()
    frequencies = torch.bincount(drawn @ torch.tensor([4, 2, 1]), minlength=8) / len(drawn)
    assert exact.sum().item() == pytest.approx(1, abs=1e-5)
    assert exact.max() > 0.25
    assert torch.allclose(frequencies, exact, atol=0.015)


def test_it_learns_sequences_of_unequal_length_by_heart():
    torch.manual_seed(0)
    x = torch.tensor([[1, 2, 3, 4, 0, 0], [4, 4, 1, 0, 0, 0], [2, 3, 2, 3, 2, 1], [3, 1, 0, 0, 0, 0]])
    network = partial(Recurrent, hidden=24, embedding=8, word_dropout=0.3)
    model = Autoencoder(sequences(6, 5, pad=0), latent_dim=4, network=network, likelihood=TokenLikelihood).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        model.objective(Batch(x), 1.0)[0].backward()
        optimizer.step()
    model.eval()
    assert torch.equal(model(x).where(x != 0, 0), x)
    longer = torch.cat([x, torch.zeros(4, 3, dtype=torch.long)], dim=1)
    assert torch.allclose(model.encode(x), model.encode(longer), atol=1e-6)


def test_initialization_draws_gate_by_gate():
    network = small(series(4, 2), Sizes(2), cell="lstm")
    initialize(network, "orthogonal")
    layer = network.encoder.forth[0]
    for gate in layer.weight_hh_l0.chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(7), atol=1e-5)
    assert not layer.bias_ih_l0.any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Recurrent(DataSpec("ids", "sequence", (4,), Rescale(0, 1)), Sizes(2)), "without a vocabulary"),
        (lambda: Recurrent(DataSpec("rows", "table", (4,), Rescale(0, 1)), Sizes(2)), "MLP"),
        (lambda: Recurrent(series(4, 2), Sizes(2), word_dropout=1.0), "word_dropout"),
        (lambda: Recurrent(series(4, 2), Sizes(2), layers=0), "at least 1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        wrong()


def test_a_spec_with_a_vocabulary_is_plain_json():
    spec = sequences(6, 5, pad=2)
    again = DataSpec.from_dict(spec.to_dict())
    assert again.to_dict() == spec.to_dict()
    assert (again.vocabulary, again.pad) == (spec.vocabulary, 2)
