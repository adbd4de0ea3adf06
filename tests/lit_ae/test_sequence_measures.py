"""What is measured on rows of token ids, against figures counted by hand or by another library."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_ae.corruptions import TokenDropout
from lit_ae.errors import UserError
from lit_ae.likelihoods import Categorical, Gaussian
from lit_ae.metrics.baseline import PrincipalTokens, principal_components
from lit_ae.metrics.molecules import generation_figures, validity
from lit_ae.metrics.ngrams import NGrams, unigram_nats
from lit_ae.metrics.reconstruction import reconstruction_errors, reconstruction_figures, token_accuracy
from lit_ae.molecules import canonical, internal_diversity, properties
from lit_ae.networks import MLP, Recurrent, Sizes
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.tokenizers import END, MARKS, PAD, UNKNOWN, Characters
from lit_ae.variants import VAE, ContractiveAutoencoder, LadderAutoencoder

PAD_ID, END_ID, UNKNOWN_ID = (MARKS.index(mark) for mark in (PAD, END, UNKNOWN))
TEXTS = ["abc", "ab", "cab", "b", "abab"]


def letters(texts: list[str] = TEXTS) -> tuple[DataSpec, torch.Tensor]:
    made = Characters.fit(texts)
    size = len(made.vocabulary)
    spec = DataSpec(
        "letters",
        "sequence",
        (made.length,),
        Rescale(0, 1),
        (0, size - 1),
        vocabulary=made.vocabulary,
        pad=0,
        tokenizer=made,
    )
    return spec, made.encode(texts).float()


def test_accuracy_counts_real_tokens_and_their_end_alone() -> None:
    x = torch.tensor([[3.0, 4, 1, 0, 0], [5, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    x_hat = torch.tensor([[3.0, 5, 1, 7, 7], [5, 1, 4, 4, 4], [9, 9, 9, 9, 9]])
    assert token_accuracy(x, x_hat, 0).tolist() == pytest.approx([2 / 3, 1, 1])
    assert token_accuracy(x[:2], x_hat[:2], None).tolist() == pytest.approx([2 / 5, 2 / 5])
    spec, _ = letters()
    figures = reconstruction_figures(x[:2], x_hat[:2], spec)
    assert figures == pytest.approx({"token_accuracy": 5 / 6, "exact": 1 / 2})
    assert reconstruction_errors(x, x_hat, spec).tolist() == pytest.approx([1 / 3, 0, 0])


def test_padding_costs_no_nats() -> None:
    spec, x = letters()
    likelihood = Categorical(spec)
    assert likelihood.outputs_per_feature == len(spec.vocabulary)
    outputs = torch.randn(len(x), len(spec.vocabulary), *spec.shape)
    wanted = -torch.nn.functional.cross_entropy(outputs, x.long(), ignore_index=PAD_ID, reduction="none").sum(1)
    assert torch.allclose(likelihood.log_prob(outputs, x), wanted, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=8), st.integers(1, 5))
def test_ngrams_say_only_what_followed_in_training(texts: list[str], order: int) -> None:
    spec, rows = letters(texts)
    assert spec.tokenizer is not None
    seen = Counter(tuple(f"{text}.")[max(0, i - order + 1) : i + 1] for text in texts for i in range(len(text) + 1))
    counted = {
        (*(spec.vocabulary[token] for token in before), spec.vocabulary[last].replace(END, ".")): count
        for before, lasts in NGrams(rows, order, END_ID).counts.items()
        for last, count in lasts.items()
    }
    assert counted == seen
    for drawn in NGrams(rows, order, END_ID).sample(20).long().tolist():
        text = spec.tokenizer.decode(torch.tensor([drawn]))[0]
        ended = f"{text}." if END_ID in drawn else text
        assert all(tuple(ended[max(0, i - order + 1) : i + 1]) in seen for i in range(len(ended)))


def test_ngrams_of_full_order_give_training_strings_in_their_shares() -> None:
    spec, rows = letters(["a", "a", "a", "bb"])
    assert spec.tokenizer is not None
    drawn = Counter(spec.tokenizer.decode(NGrams(rows, 9, END_ID).sample(2000)))
    assert set(drawn) == {"a", "bb"}
    assert drawn["a"] / 2000 == pytest.approx(0.75, abs=0.04)


def test_unigrams_by_hand() -> None:
    _, rows = letters(["ab", "a"])
    shares = {"a": 3 / 9, "b": 2 / 9, "end": 3 / 9}  # of 5 counts, and one more for each token but padding
    wanted = -(2 * math.log(shares["a"]) + math.log(shares["b"]) + 2 * math.log(shares["end"])) / 2
    assert unigram_nats(rows, rows, tokens=5, pad=PAD_ID) == pytest.approx(wanted)


def test_principal_components_of_tokens_give_tokens_and_all_of_them_give_all() -> None:
    spec, x = letters()
    many, one = (principal_components(x, count, spec) for count in (4, 1))
    assert isinstance(many, PrincipalTokens)
    assert torch.equal(many.reconstruct(x), x)
    assert many.encode(x).shape == (len(x), 4)
    assert one.components == 1
    assert set(one.reconstruct(x).flatten().tolist()) <= set(range(len(spec.vocabulary)))


def test_token_dropout_makes_a_share_of_the_real_tokens_unknown() -> None:
    spec, _ = letters()
    x = torch.tensor([[3.0, 4, 1, 0, 0]]).repeat(4000, 1)
    dropped = TokenDropout(spec, share=0.3)(x)
    assert (dropped[:, 3:] == PAD_ID).all()
    changed = dropped != x
    assert (dropped[changed] == UNKNOWN_ID).all()
    assert changed[:, :3].float().mean().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (lambda spec: Gaussian(spec), "Gaussian compares numbers, and letters holds tokens.*Categorical"),
        (lambda spec: MLP(spec, Sizes(2)), "of kind sequence: use --model.network Recurrent or Transformer"),
        (lambda spec: TokenDropout(spec, share=0.0), "share above 0"),
        (lambda spec: ContractiveAutoencoder(spec), "differentiates by x, and letters holds tokens"),
        (lambda spec: LadderAutoencoder(spec), "adds noise to x, and letters holds tokens"),
        (lambda spec: VAE(spec, network=Recurrent, likelihood=Gaussian), "--model.likelihood Categorical"),
    ],
)
def test_what_makes_no_sense_for_tokens_is_refused(refused, sentence: str) -> None:
    spec, _ = letters()
    with pytest.raises(UserError, match=sentence):
        refused(spec)


def test_drawn_molecules_are_judged_by_hand_counts() -> None:
    training = ["CCO", "c1ccccc1"]
    drawn = ["OCC", "CCO", "CCN", "C(C", "CCCl", "CCN"]
    reference = properties(["CCO", "CCN", "CCCl"])
    figures = generation_figures(drawn, training, reference)
    assert figures["validity"] == pytest.approx(5 / 6)
    assert figures["uniqueness"] == pytest.approx(3 / 5)
    assert figures["novelty"] == pytest.approx(2 / 3)
    logp = properties(["CCO", "CCO", "CCN", "CCCl", "CCN"])[:, 0]
    grid = np.linspace(-9, 9, 200_001)
    below = [(values[:, None] <= grid).mean(0) for values in (logp, reference[:, 0])]
    by_distribution_functions = np.abs(below[0] - below[1]).sum() * (grid[1] - grid[0])
    assert figures["wasserstein_logp"] == pytest.approx(by_distribution_functions, abs=1e-3)
    assert generation_figures(["C(", "x"], training, reference) == {"validity": 0.0}
    assert validity([]) == 0.0


def test_diversity_of_one_kind_of_molecule_is_none() -> None:
    assert internal_diversity(["CCO", "CCO"]) == 0
    assert 0.3 < internal_diversity(["CCO", "c1ccccc1"]) <= 0.5
    assert canonical("") is None
