"""How the code takes the factors of variation apart, for data that knows them."""

from data.base import LitData
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.disentanglement import Rated, dci, mutual_information_gap, separated_attribute_predictability
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_factors(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """MIG, SAP and DCI of the code, with PCA's beside them."""
    factors, test = data.rows["fit"].factors, data.rows["test"].factors
    if not asked.probe_rows or factors is None or test is None:
        return
    x, factors = data.split("fit").x[: asked.probe_rows], factors[: asked.probe_rows]
    own = in_chunks(model.encode, x, device=model.device)
    pca, test_x = verdict.pca, data.split("test").x
    is_categorical = [isinstance(values[0], str) for values in data.factors.values()]
    verdict.add("test", _figures(Rated(own, factors), Rated(verdict.codes, test), is_categorical))
    verdict.add("pca", _figures(Rated(pca.encode(x), factors), Rated(pca.encode(test_x), test), is_categorical))
    verdict.protocol |= _protocol(", ".join(data.factors), len(x), len(test))


def _figures(fit: Rated, test: Rated, is_categorical: list[bool]) -> dict[str, float]:
    figures = {
        "mig": mutual_information_gap(*test),
        "sap": separated_attribute_predictability(fit, test, is_categorical),
    }
    return figures | {f"dci_{name}": value for name, value in dci(fit, test)._asdict().items()}


def _protocol(names: str, fit_rows: int, test_rows: int) -> dict[str, str]:
    fitted = f"fitted on {fit_rows} training rows, scored on {test_rows} test rows"
    return {
        "mig": f"mutual information gap over the factors {names}; {test_rows} test rows, 20 bins a dimension",
        "sap": f"gap of R² by a line, or of balanced accuracy by thresholds where a factor has no order; {fitted}",
        "dci": f"random forests of 10 trees and their importances; informativeness is their accuracy; {fitted}",
    }
