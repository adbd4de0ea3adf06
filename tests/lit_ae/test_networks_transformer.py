"""The transformer and its tokens."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_ae.errors import UserError
from lit_ae.networks import Sizes, Transformer
from lit_ae.networks.tokens import Tokens, places
from lit_ae.networks.transformer import Sinusoids
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

small = partial(Transformer, width=8, depth=2, heads=2)


def spec_of(kind, *shape, **more):
    return DataSpec("made up", kind, shape, Rescale(0, 1), **more)


any_spec = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)).map(lambda shape: spec_of("image", *shape)),
    st.tuples(st.integers(1, 9), st.integers(1, 4)).map(lambda shape: spec_of("series", *shape)),
    st.integers(1, 9).map(lambda features: spec_of("table", features)),
)


@settings(max_examples=40, deadline=None)
@given(any_spec, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["learned", "sinusoidal"]))
def test_any_shape_comes_back(spec, patch, latent_dim, outputs, positions):
    made = small(spec, Sizes(latent_dim, 2, outputs), patch=patch, positions=positions)
    code = made.encode(torch.rand(2, *spec.shape))
    assert code.shape == (2, 2 * latent_dim)
    assert made.decode(code[:, :latent_dim]).shape == (2, outputs, *spec.shape)


@settings(max_examples=40, deadline=None)
@given(any_spec, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_what_is_cut_is_joined_again(spec, height, width, outputs):
    tokens = Tokens(spec, (height, width))
    x = torch.rand(2, outputs, *spec.shape)
    cut = [tokens.split(x[:, i]) for i in range(outputs)]
    assert cut[0].shape == (2, tokens.count, tokens.width)
    assert torch.equal(tokens.join(torch.cat(cut, dim=2)), x)
    chosen = torch.rand(2, tokens.count) < 0.5
    changed = tokens.join(tokens.split(x[:, 0]) + chosen[:, :, None])[:, 0]
    assert torch.equal(changed != x[:, 0], tokens.spread(chosen))


def test_patches_are_squares_in_reading_order():
    x = torch.arange(24.0).view(1, 1, 4, 6)
    tokens = Tokens(spec_of("image", 1, 4, 6), (2, 2)).split(x)
    assert tokens.shape == (1, 6, 4)
    assert tokens[0, 4].tolist() == [14, 15, 20, 21]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=3), st.integers(1, 5))
def test_places_are_where_it_is_true(chosen, most):
    found = places(torch.tensor(chosen), most)
    for row, line in zip(found.tolist(), chosen, strict=True):
        true = [i for i, value in enumerate(line) if value][:most]
        assert row == true + [-1] * (most - len(true))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 4), st.booleans(),
    st.sampled_from(["learned", "sinusoidal"]), st.randoms(use_true_random=False),
)  # fmt: skip
def test_padding_changes_no_code(lengths, more, in_front, positions, chance):
    spec = spec_of("sequence", 10, vocabulary=tuple("abcde"), pad=4)
    network = small(spec, Sizes(3, 1, 5), positions=positions).eval()
    rows = [[chance.randrange(4) for _ in range(length)] for length in lengths]
    x = torch.tensor([row + [4] * (6 - len(row)) for row in rows])
    padding = torch.full((len(x), more), 4)
    padded = torch.cat([padding, x] if in_front else [x, padding], dim=1)
    code = network.encode(x)
    assert torch.allclose(network.encode(padded), code, atol=1e-5)
    for row, own in zip(rows, code, strict=True):
        assert torch.allclose(network.encode(torch.tensor([row]))[0], own, atol=1e-5)


def test_nothing_but_padding_has_a_finite_code():
    network = small(spec_of("sequence", 4, vocabulary=tuple("abc"), pad=2), Sizes(3, 1, 3))
    assert network.encode(torch.full((2, 4), 2)).isfinite().all()


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_order_of_steps_matters(positions):
    network = small(spec_of("series", 6, 2), Sizes(3), positions=positions).eval()
    x = torch.rand(2, 6, 2)
    assert not torch.allclose(network.encode(x), network.encode(x.flip(1)), atol=1e-4)


def test_sinusoids_are_the_papers():
    table = Sinusoids(7, 6)(torch.arange(7))
    for place in range(7):
        for i in range(3):
            angle = place / 10_000 ** (2 * i / 6)
            assert table[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_seeing_all_is_encoding_and_the_order_of_what_is_seen_is_nothing():
    network = small(spec_of("image", 1, 6, 6), Sizes(3)).eval()
    x = torch.rand(2, 1, 6, 6)
    assert torch.allclose(network.encode_visible(x, torch.arange(9).expand(2, -1)), network.encode(x), atol=1e-6)
    some = torch.tensor([[0, 4, 7], [8, 2, 1]])
    assert torch.allclose(network.encode_visible(x, some), network.encode_visible(x, some.flip(1)), atol=1e-6)
    one_less = torch.tensor([[0, 4, -1], [8, 2, -1]])
    assert torch.allclose(network.encode_visible(x, one_less), network.encode_visible(x, one_less[:, :2]), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Transformer(spec_of("table", 4), Sizes(2), width=6, heads=4), "4 heads can't share a width of 6"),
        (lambda: Transformer(spec_of("table", 4), Sizes(2), depth=0), "at least 1"),
        (lambda: Transformer(spec_of("table", 4), Sizes(2), dropout=1.0), "dropout"),
        (lambda: Transformer(spec_of("sequence", 4), Sizes(2)), "without a vocabulary"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        wrong()
