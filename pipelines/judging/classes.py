"""How well the code tells the classes apart."""

from data.base import LitData
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.probe import linear_probe_accuracy, nearest_neighbours_accuracy
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_classes(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """The linear probe and the nearest neighbours on the code, with PCA's beside them, for data with labels."""
    fit, test = data.split("fit"), data.split("test")
    has_all_classes = data.rows["test"].anomaly is None
    if not asked.probe_rows or not has_all_classes or fit.y is None or test.y is None:
        return
    x, y = fit.x[: asked.probe_rows], fit.y[: asked.probe_rows]
    codes = {
        "test": (in_chunks(model.encode, x, device=model.device), verdict.codes),
        "pca": (verdict.pca.encode(x), verdict.pca.encode(test.x)),
    }
    for whose, (known, judged) in codes.items():
        verdict.figures[f"{whose}/linear_probe"] = linear_probe_accuracy(known, y, judged, test.y, len(x))
        if asked.neighbours:
            knn = nearest_neighbours_accuracy(known, y, judged, test.y, asked.neighbours)
            verdict.figures[f"{whose}/knn"] = knn
    verdict.protocol["linear_probe"] = f"test accuracy of a logistic regression on the codes of {len(x)} training rows"
    if asked.neighbours:
        verdict.protocol["knn"] = (
            f"test accuracy of the vote of the {asked.neighbours} nearest of {len(x)} training rows, by Euclidean "
            "distance between codes"
        )
