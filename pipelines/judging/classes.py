"""How well the code tells the classes apart."""

from data.base import LitData
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.probe import linear_probe_accuracy
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_classes(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """The linear probe on the code, with PCA's beside it, for labelled data whose training split has every class."""
    fit, test = data.split("fit"), data.split("test")
    if not asked.probe_rows or data.rows["test"].anomaly is not None or fit.y is None or test.y is None:
        return
    rows, pca = asked.probe_rows, verdict.pca
    x, y = fit.x[:rows], fit.y[:rows]
    codes = in_chunks(model.encode, x, device=model.device)
    verdict.figures["test/linear_probe"] = linear_probe_accuracy(codes, y, verdict.codes, test.y, rows)
    verdict.figures["pca/linear_probe"] = linear_probe_accuracy(pca.encode(x), y, pca.encode(test.x), test.y, rows)
    verdict.protocol["linear_probe"] = f"test accuracy of a logistic regression on the codes of {len(x)} training rows"
