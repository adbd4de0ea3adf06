"""Which trials are worth a look: the best, the Pareto front, and its knee by a rule."""

import math

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from lit_ae.errors import UserError
from pipelines.tuning.liveness import last_attempts, slot

RULE = (
    "The knee is the trial of the front that is nearest to the best of every objective at once, each objective scaled "
    "to 0 at its best and 1 at its worst value on the front (Euclidean distance; of equals the earliest)."
)


def front(study: Study) -> list[FrozenTrial]:
    """The completed trials that no other one beats in every objective; of one objective, the best."""
    return sorted(study.best_trials, key=slot) if any(t.values for t in last_attempts(study)) else []


def knee(study: Study) -> FrozenTrial | None:
    """The trial that :data:`RULE` picks; of one objective, the best. None where no trial is complete."""
    trials = front(study)
    if not trials:
        return None
    columns = [
        scaled([trial.values[index] for trial in trials], direction) for index, direction in enumerate(study.directions)
    ]
    distances = [math.hypot(*row) for row in zip(*columns, strict=True)]
    return trials[min(range(len(trials)), key=lambda i: (round(distances[i], 12), slot(trials[i])))]


def scaled(values: list[float], direction: StudyDirection) -> list[float]:
    """Values from 0 at the best to 1 at the worst; all 0 where they are equal."""
    best, worst = (min(values), max(values)) if direction == StudyDirection.MINIMIZE else (max(values), min(values))
    return [0.0 if best == worst else (value - best) / (worst - best) for value in values]


def choose(study: Study, wanted: str | int) -> FrozenTrial | None:
    """The trial that is trained again: the knee, the best of the first objective, or one by its number.

    Raises:
        UserError: no completed trial has that number.
    """
    if wanted == "knee":
        return knee(study)
    complete = [trial for trial in last_attempts(study) if trial.state.name == "COMPLETE"]
    if wanted == "best":
        sign = 1 if study.directions[0] == StudyDirection.MINIMIZE else -1
        return min(complete, key=lambda trial: (sign * trial.values[0], slot(trial)), default=None)
    for trial in complete:
        if slot(trial) == int(wanted):
            return trial
    raise UserError(
        f"The study has no completed trial {wanted}: choose one of {', '.join(str(slot(t)) for t in complete)}."
    )
