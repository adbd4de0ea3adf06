"""Molecules: whether what is decoded is one, what the code knows of it, and what the prior gives."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from data.base import LitData
from data.smiles import SMILES
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.ngrams import NGrams
from lit_ae.module import LitAutoencoder
from lit_ae.tokenizers import END, MARKS
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation

ORDER = 6  # tokens that the n-grams beside the model see at once
DRAWN_AT_ONCE = 250


def judge_molecules(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """Validity of reconstructions, a probe of the properties on the code, and the measures of MOSES for samples."""
    if not isinstance(data, SMILES):
        return
    from lit_ae.metrics.molecules import validity

    decode = data.tokenizer.decode
    pca_hat = verdict.pca.reconstruct(data.split("test").x)
    for group, x_hat in (("test", verdict.x_hat), ("pca", pca_hat)):
        verdict.figures[f"{group}/valid_reconstructions"] = validity(decode(x_hat))
    verdict.protocol["valid_reconstructions"] = "share of test reconstructions that RDKit accepts"
    if asked.probe_rows:
        _judge_properties(model, data, asked.probe_rows, verdict)
    if model.prior is not None and asked.drawn_strings:
        _judge_generation(model, data, asked.drawn_strings, verdict)


def _judge_properties(model: LitAutoencoder, data: SMILES, rows: int, verdict: Verdict) -> None:
    from lit_ae.molecules import PROPERTIES

    x, known, wanted = data.split("fit").x[:rows], data.properties("fit", rows), data.properties("test")
    codes = {
        "test": (in_chunks(model.encode, x, device=model.device), verdict.codes),
        "pca": (verdict.pca.encode(x), verdict.pca.encode(data.split("test").x)),
    }
    for place, name in enumerate(PROPERTIES):
        for group, (fitted, judged) in codes.items():
            figure = property_r2(fitted, known[:, place], judged, wanted[:, place])
            verdict.figures[f"{group}/{name}_r2"] = figure
    verdict.protocol["logp_r2, qed_r2, sas_r2"] = (
        f"R² on the test split of a ridge regression on the codes of {len(x)} training molecules, properties by RDKit"
    )


def property_r2(codes: Tensor, values: Tensor, test_codes: Tensor, test_values: Tensor) -> float:
    """R² on the test rows of a ridge regression of values ``(N,)`` on standardised codes ``(N, latent_dim)``."""
    probe = make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)))
    probe.fit(codes.numpy(), values.numpy())
    return float(probe.score(test_codes.numpy(), test_values.numpy()))


def _judge_generation(model: LitAutoencoder, data: SMILES, count: int, verdict: Verdict) -> None:
    from lit_ae.metrics.molecules import generation_figures, validity

    decode, training = data.tokenizer.decode, data.strings("fit")
    reference = data.properties("test").numpy()
    fit = data.rows["fit"].raw
    by_ngrams = NGrams(fit, ORDER, MARKS.index(END)).sample(count)
    drawn, likeliest = _drawn(model, count)
    verdict.add("test", generation_figures(decode(drawn), training, reference))
    verdict.figures["test/greedy_validity"] = validity(decode(likeliest))
    verdict.add("ngrams", generation_figures(decode(by_ngrams), training, reference))
    chosen = torch.randint(len(training), (count,), generator=torch.Generator().manual_seed(0))
    some = [training[place] for place in chosen.tolist()]
    verdict.add("random", generation_figures(some, training, reference))
    verdict.protocol["validity"] = (
        f"{count} strings drawn from p(x|z), z from the prior; uniqueness among the valid, novelty among the distinct; "
        f"greedy_validity of the likeliest strings for the same codes; random: training molecules; n-grams: {ORDER} "
        "tokens"
    )
    verdict.protocol["wasserstein"] = "distance of the valid strings' property distribution to the test split's"


def _drawn(model: LitAutoencoder, count: int) -> tuple[Tensor, Tensor]:
    """Rows drawn from the model, and the likeliest rows for the same codes, ``(count, T)`` each."""
    assert model.prior is not None
    z = model.prior.sample(count, torch.Generator().manual_seed(0))
    with _seeded(model.device):
        drawn = in_chunks(model.generate, z, DRAWN_AT_ONCE, model.device)
    return drawn, in_chunks(model.decode, z, DRAWN_AT_ONCE, model.device)


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Draws the same every time, and leaves the global generators as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield
