"""Judging a trained model once on the test split, with principal components of the same size beside it."""

from collections.abc import Callable

import lightning as L

from data.base import LitData
from lit_ae.metrics.baseline import PrincipalComponents
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.reconstruction import squared_error
from lit_ae.module import LitAutoencoder
from pipelines.judging.classes import judge_classes
from pipelines.judging.compression import judge_compression
from pipelines.judging.density import judge_density
from pipelines.judging.factors import judge_factors
from pipelines.judging.information import judge_information
from pipelines.judging.labels import judge_label_efficiency
from pipelines.judging.own_figures import judge_own_figures
from pipelines.judging.reconstruction import judge_denoising, judge_reconstruction
from pipelines.judging.samples import judge_samples
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation

Judge = Callable[[LitAutoencoder, LitData, Evaluation, Verdict], None]
"""Adds its figures and their protocol to the verdict, or nothing where its question makes no sense or is not asked."""

JUDGES: tuple[Judge, ...] = (
    judge_reconstruction,
    judge_denoising,
    judge_own_figures,
    judge_density,
    judge_information,
    judge_classes,
    judge_factors,
    judge_label_efficiency,
    judge_samples,
    judge_compression,
)


def evaluate(model: LitAutoencoder, data: LitData, asked: Evaluation, tester: L.Trainer) -> Verdict:
    """Every figure of the test split; the model ends on the device that it is judged on, in evaluation mode.

    Args:
        model: the trained model.
        data: gives the splits.
        asked: what to measure.
        tester: a Trainer of one device; its precision is the model's.
    """
    objective = tester.test(model, data, verbose=False)[0]
    model = model.eval().to(tester.strategy.root_device)
    x = data.split("test").x
    codes = in_chunks(model.encode, x, device=model.device)
    x_hat = in_chunks(model, x, device=model.device)
    pca = PrincipalComponents(data.split("fit").x, model.latent_dim)
    verdict = Verdict(codes, x_hat, pca, squared_error(x, x_hat), squared_error(x, pca.reconstruct(x)))
    verdict.figures |= {key: value for key, value in objective.items() if key != "test/mse"}
    for judge in JUDGES:
        judge(model, data, asked, verdict)
    return verdict
