"""What models cost: parameters, training, and scoring speed measured side by side."""

import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import torch

from lit_ae.metrics.reconstruction import reconstruction_errors
from pipelines.comparing.judged import Entrant

MOST_ROWS = 2048
FIT_SECONDS = "cost/fit_seconds"


class Cost(NamedTuple):
    """What a group costs.

    Attributes:
        parameters: numbers that were learned, in all models of the detector.
        fit_seconds: of each member's training; empty where no run tells.
        rows_per_second: scored, by the first member: the median of several turns.
    """

    parameters: int
    fit_seconds: list[float]
    rows_per_second: float


def costs(groups: Sequence[Sequence[Entrant]], turns: int) -> list[Cost]:
    """The cost of each group."""
    speeds = rows_per_second([group[0] for group in groups], turns)
    return [Cost(parameters(group[0]), fit_seconds(group), speed) for group, speed in zip(groups, speeds, strict=True)]


def parameters(entrant: Entrant) -> int:
    """The number of the model's parameters, and of those beside it that its detector asks too."""
    models = [one.model for one in entrant.detector.witnesses] if entrant.detector else [entrant.model]
    return sum(p.numel() for model in models for p in model.parameters())


def fit_seconds(group: Sequence[Entrant]) -> list[float]:
    """What each member's run has logged of its training."""
    runs = [one.contestant.run for one in group]
    return [run.data.metrics[FIT_SECONDS] for run in runs if run and FIT_SECONDS in run.data.metrics]


def rows_per_second(entered: Sequence[Entrant], turns: int) -> list[float]:
    """Test rows that each model scores in a second: the median of turns in which each comes once, after a first try.

    So what else the machine does meets all of them alike.
    """
    for one in entered:
        score(one)
    seconds: list[list[float]] = [[] for _ in entered]
    for _ in range(turns):
        for own, one in zip(seconds, entered, strict=True):
            began = time.perf_counter()
            score(one)
            own.append(time.perf_counter() - began)
    return [len(one.x[:MOST_ROWS]) / median(own) for own, one in zip(seconds, entered, strict=True)]


@torch.no_grad()
def score(entrant: Entrant) -> None:
    """What serving does with rows in model space: the detector's verdicts, or where there is none the errors."""
    x = entrant.x[:MOST_ROWS]
    if entrant.detector is not None:
        entrant.detector.judge(x)
        return
    for piece in x.split(1000):
        reconstruction_errors(piece, entrant.model(piece), entrant.model.spec)
