"""The codebook against steps worked by hand, with parameters that are not the defaults."""

import math
from functools import partial

import lightning as L
import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed

from data import Digits
from lit_ae.codebook import Codebook
from lit_ae.errors import UserError
from lit_ae.latents import QuantizedCode
from lit_ae.metrics.usage import CodeUsage
from lit_ae.networks import MLP, Conv
from lit_ae.variants import VectorQuantizedAutoencoder

SPEC = Digits().spec


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_codebook(codes=7, width=3, **options):
    torch.manual_seed(0)
    book = Codebook(codes, width, **{"revive_below": 0.0, **options}).double()
    book.vectors.copy_(random(codes, width, seed=9))
    return book


def nearest(book, vector):
    return min(range(len(book.vectors)), key=lambda code: math.dist(vector.tolist(), book.vectors[code].tolist()))


def test_each_vector_becomes_the_nearest_of_the_codebook():
    book, encoded = a_codebook(), random(20, 4, 3)
    latent = book(encoded)
    by_hand = torch.tensor([[nearest(book, vector) for vector in sample] for sample in encoded])
    assert torch.equal(latent.indices, by_hand)
    assert torch.equal(latent.mean, book.vectors[by_hand].flatten(1))
    assert latent.activity.sum(1).tolist() == [4] * 20
    assert latent.activity[3].nonzero().flatten().tolist() == [7 * place + by_hand[3, place] for place in range(4)]


def test_the_gradient_goes_straight_through():
    book, encoded = a_codebook(), random(5, 4, 3).requires_grad_()
    ask = random(5, 12, seed=2)
    (found,) = torch.autograd.grad((book(encoded).mean * ask).sum(), encoded)
    assert torch.equal(found.flatten(1), ask)


def test_moving_averages_over_three_batches_by_hand():
    book = a_codebook(decay=0.8)
    vectors, n, m = book.vectors.tolist(), [0.0] * 7, [[0.0] * 3 for _ in range(7)]
    for step in range(3):
        encoded = random(10, 2, 3, seed=step)
        book.update(book(encoded))
        rows = encoded.flatten(0, 1).tolist()
        chosen = [min(range(7), key=lambda code, row=row: math.dist(row, vectors[code])) for row in rows]
        for code in range(7):
            mine = [row for row, choice in zip(rows, chosen, strict=True) if choice == code]
            n[code] = 0.8 * n[code] + 0.2 * len(mine)
            m[code] = [0.8 * m[code][place] + 0.2 * sum(row[place] for row in mine) for place in range(3)]
            if n[code]:
                vectors[code] = [total / n[code] for total in m[code]]
    assert torch.allclose(book.counts, torch.tensor(n, dtype=torch.float64))
    assert torch.allclose(book.vectors, torch.tensor(vectors, dtype=torch.float64))


def test_dead_codes_start_again_at_vectors_of_the_batch():
    book = a_codebook(codes=6, revive_below=0.3, decay=0.5)
    book.vectors[4:] = 100.0
    book.counts[:] = 1.0
    book.sums.copy_(book.vectors)
    encoded = random(30, 1, 3)
    book.update(book(encoded))
    assert (book.vectors[4:] == 100).all()
    book.update(book(encoded))
    assert not (book.vectors[4:] == 100).any()
    rows = encoded.flatten(0, 1).tolist()
    assert all(vector in rows for vector in book.vectors[4:].tolist())
    assert book.counts[4:].tolist() == [1.0, 1.0]
    assert torch.equal(book.sums[4:], book.vectors[4:])


def test_perplexity_and_usage_by_hand():
    measure = CodeUsage(5)
    for indices in ([[0, 0], [1, 3]], [[0, 0], [0, 1]]):
        chosen = torch.zeros(2, 2, 1)
        measure.update(QuantizedCode(chosen, chosen, torch.tensor(indices), 5))
    shares = [5 / 8, 2 / 8, 1 / 8]
    figures = measure.compute()
    assert figures["perplexity"].item() == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
    assert figures["code_usage"].item() == pytest.approx(3 / 5)


@pytest.mark.parametrize("network", [partial(MLP, hidden=[20]), partial(Conv, channels=[4, 8])])
def test_the_objective_is_reconstruction_plus_commitment(network):
    torch.manual_seed(0)
    options = {"latent_dim": 12, "groups": 3, "codes": 11, "commitment": 0.6}
    model = VectorQuantizedAutoencoder(SPEC, network=network, **options)
    x = torch.rand(6, 1, 8, 8)
    before = model.codebook.vectors.clone()
    passed = model.eval().forward_pass(x, x)
    terms = model.terms(passed)
    assert torch.equal(model.codebook.vectors, before)
    encoded = model.network.encode(x)
    for i in range(6):
        parts = encoded[i].view(3, 4)
        distance = sum(min((part - code).square().sum().item() for code in before) for part in parts)
        assert terms["commitment"][i].item() == pytest.approx(distance, rel=1e-4)
    assert model.weights["commitment"].final == 0.6
    assert all(any(torch.equal(part, code) for code in before) for part in model.encode(x).view(-1, 4))
    terms["commitment"].sum().backward()
    assert model.codebook.vectors.grad is None


def _one_process(rank, address, folder):
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.manual_seed(100 + rank)
    book = a_codebook(decay=0.7, revive_below=0.3)
    for step in range(3):
        book.update(book(random(12, 2, 3, seed=step)[rank * 6 : rank * 6 + 6]))
    torch.save(book.state_dict(), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_keep_one_codebook(tmp_path):
    mp.spawn(_one_process, (f"file://{tmp_path / 'rendezvous'}", str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    alone = a_codebook(decay=0.7, revive_below=0.0)
    alone.update(alone(random(12, 2, 3, seed=0)))
    both = a_codebook(decay=0.7, revive_below=0.3)
    both.update(both(random(12, 2, 3, seed=0)))
    used = alone.counts >= 0.3
    assert torch.allclose(alone.vectors[used], both.vectors[used])


def test_trained_on_digits_it_uses_its_codebook_and_beats_the_mean():
    L.seed_everything(0, verbose=False)
    data = Digits(batch_size=64, seed=0)
    model = VectorQuantizedAutoencoder(
        data.spec, latent_dim=16, groups=4, codes=32, decay=0.9, network=partial(MLP, hidden=[64]),
        optimizer=partial(torch.optim.Adam, lr=0.005),
    )  # fmt: skip
    trainer = L.Trainer(
        max_epochs=15, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, data)
    figures = trainer.callback_metrics
    assert figures["val/perplexity"] > 16
    assert figures["val/code_usage"] > 0.8
    assert figures["val/mse"] < 0.5 * data.split("fit").x.var(0).mean()
    words = model.eval().encode(data.split("tune").x).reshape(-1, 4)
    assert torch.cdist(words, model.codebook.vectors).min(1).values.max() < 1e-3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"groups": 5}, "model.groups must divide model.latent_dim .16., and 5 does not"),
        ({"codes": 1}, "at least 2 codes"),
        ({"decay": 1.0}, "decay"),
    ],
)
def test_what_makes_no_sense_is_refused(options, reason):
    with pytest.raises(UserError, match=reason):
        VectorQuantizedAutoencoder(SPEC, **options)
