"""How much samples from the prior look like the data."""

from pathlib import Path

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.errors import UserError
from lit_ae.metrics.feature_network import find_feature_network
from lit_ae.metrics.samples import frechet_distance, precision_and_recall
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation

NEIGHBOURS, ROWS_AT_ONCE = 3, 1000


def check_samples(model: LitAutoencoder, data: LitData, asked: Evaluation) -> None:
    """Refuses to judge samples that there can't be, or without the network that they are judged by.

    Raises:
        UserError: in one sentence.
    """
    if not asked.fid_samples:
        return
    if model.prior is None or data.spec.kind != "image":
        raise UserError(
            f"{type(model).__name__} on {data.spec.name} gives no images from a prior: set evaluation.fid_samples to 0."
        )
    find_feature_network(data.spec, features_of(asked))


def features_of(asked: Evaluation) -> Path:
    """The folder of the feature networks."""
    return Path(asked.features).expanduser()


def judge_samples(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """FID, precision and recall of samples; the FID of reconstructions and of training rows beside it."""
    if not asked.fid_samples:
        return
    network, invert = find_feature_network(data.spec, features_of(asked)), data.spec.preprocessing.invert
    fit, test = data.split("fit").x[: asked.fid_samples], data.split("test").x
    drawn = draw(model, asked.fid_samples)
    reference, samples, known, rebuilt = (network.features(invert(x)) for x in (test, drawn, fit, verdict.x_hat))
    precision, recall = precision_and_recall(reference, samples, NEIGHBOURS)
    figures = {"fid": frechet_distance(reference, samples), "precision": precision, "recall": recall}
    figures["fid_of_reconstructions"] = frechet_distance(reference, rebuilt)
    figures["fid_of_training_rows"] = frechet_distance(reference, known)
    verdict.add("test", figures)
    what = "expected x" if data.spec.binarize == "none" else "x drawn from p(x|z)"
    verdict.protocol["fid"] = (
        f"{len(drawn)} samples ({what}, z from the prior) against {len(test)} test rows, by {network.description}; "
        f"beside it the {len(test)} reconstructions (expected x) and, as a floor, the first {len(fit)} training rows"
    )
    verdict.protocol["precision"] = f"of the same samples and features, {NEIGHBOURS} neighbours; recall likewise"


@torch.no_grad()
def draw(model: LitAutoencoder, count: int) -> Tensor:
    """Samples ``(count, *spec.shape)`` on the CPU, always the same ones: expected x, or for binary data drawn x."""
    generator = torch.Generator().manual_seed(0)
    pieces = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for start in range(0, count, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, count - start)
            assert model.prior is not None
            z = model.prior.sample(rows, generator).to(next(model.parameters()))
            pieces.append((model.decode(z) if model.spec.binarize == "none" else model.generate(z)).cpu())
    return torch.cat(pieces)
