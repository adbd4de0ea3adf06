"""What the code is worth where labels are few."""

import statistics
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.errors import UserError
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.labels import LEAST_EPOCHS, LEAST_STEPS, EncoderClassifier, draw_labelled
from lit_ae.metrics.probe import linear_probe_accuracy
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def check_label_efficiency(data: LitData, asked: Evaluation) -> None:
    """Refuses numbers of labels that the training split does not have.

    Raises:
        UserError: in one sentence.
    """
    counts = [count for count in asked.label_efficiency if count != "all"]
    fit = data.rows["fit"]
    classes, rows = len(data.spec.classes), len(fit.raw)
    if asked.label_efficiency and fit.y is None:
        raise UserError(f"{data.spec.name} has no labels: leave evaluation.label_efficiency empty.")
    if any(not classes <= count <= rows for count in counts):
        raise UserError(
            f"evaluation.label_efficiency is {asked.label_efficiency}, but {data.spec.name} has {classes} classes and "
            f"{rows} training rows: take numbers from {classes} to {rows}, or all."
        )


def judge_label_efficiency(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """Test accuracies of classifiers that learn from few labels: mean and standard deviation over draws of the rows."""
    if not asked.label_efficiency:
        return
    ways = _ways(model, data, verdict)
    for count in asked.label_efficiency:
        for (whose, name), accuracy in ways.items():
            draws = 1 if count == "all" and name != "scratch" else asked.label_draws
            accuracies = [accuracy(rows, draw) for draw, rows in enumerate(_drawn(data, count, draws))]
            spread = statistics.stdev(accuracies) if draws > 1 else 0.0
            verdict.add(f"{whose}/labels_{count}", {name: statistics.mean(accuracies), f"{name}_sd": spread})
    verdict.protocol["labels"] = (
        f"test accuracy, mean and sd of {asked.label_draws} draws of the labelled training rows; frozen: logistic "
        "regression on the standardised code; scratch: the encoder's network with new weights under a linear layer, "
        f"{LEAST_EPOCHS} epochs or {LEAST_STEPS} steps of Adam; input: logistic regression on x itself"
    )


def _ways(
    model: LitAutoencoder, data: LitData, verdict: Verdict
) -> dict[tuple[str, str], Callable[[Tensor, int], float]]:
    """By whose and name, how a classifier comes from labels: test accuracy, given the numbers of rows and of draw."""
    fit, test = data.split("fit"), data.split("test")
    assert fit.y is not None
    assert test.y is not None
    codes, y, test_y = in_chunks(model.encode, fit.x, device=model.device), fit.y, test.y
    pca = verdict.pca

    def frozen(rows: Tensor, draw: int) -> float:
        return linear_probe_accuracy(codes[rows], y[rows], verdict.codes, test_y, len(rows))

    def on_pca(rows: Tensor, draw: int) -> float:
        return linear_probe_accuracy(pca.encode(fit.x[rows]), y[rows], pca.encode(test.x), test_y, len(rows))

    def scratch(rows: Tensor, draw: int) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(draw)
            network = type(model)(**model.init_args).network
            classifier = EncoderClassifier(network, int(y.max()) + 1).to(model.device)
            classifier.learn(fit.x[rows], y[rows])
        return classifier.accuracy(test.x, test_y)

    def on_input(rows: Tensor, draw: int) -> float:
        x, test_x = fit.x[rows].flatten(1), test.x.flatten(1)
        return linear_probe_accuracy(x, y[rows], test_x, test_y, len(rows), standardize=False)

    tested = {"frozen": frozen, "scratch": scratch, "input": on_input}
    return {**{("test", name): way for name, way in tested.items()}, ("pca", "frozen"): on_pca}


def _drawn(data: LitData, count: int | Literal["all"], draws: int) -> list[Tensor]:
    y = data.split("fit").y
    assert y is not None
    return [torch.arange(len(y)) if count == "all" else draw_labelled(y, count, draw) for draw in range(draws)]
