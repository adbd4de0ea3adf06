"""A study in the terminal: its trials, its front and the time that is left, while it runs and after."""

import sys
import time

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from lit_ae.errors import UserError
from pipelines.tuning.command import Asked
from pipelines.tuning.definition import Search
from pipelines.tuning.front import front, knee
from pipelines.tuning.liveness import last_attempts, slot
from pipelines.tuning.plan import plan_of, reason
from pipelines.tuning.progress import short, time_left
from pipelines.tuning.storage import find_study, open_storage, without_password

EVERY = 2.0  # s between two looks
CLEAR = "\033[H\033[2J"
BAR = 30  # characters


def show(asked: Asked) -> int:
    """Prints the study once, or in a terminal again and again until it has ended or Ctrl-C.

    Raises:
        UserError: the storage does not answer, or has no such study.
    """
    assert asked.definition is not None
    name = asked.definition.name
    study = find_study(name, open_storage(asked.running.storage))
    plan = plan_of(study) if study else None
    if study is None or plan is None:
        place = without_password(asked.running.storage)
        raise UserError(f"There is no study '{name}' in {place}: begin it without --show.")
    try:
        while sys.stdout.isatty() and is_unfinished(study):
            print(CLEAR + page(study, plan.search), flush=True)
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return 0
    print(page(study, plan.search))
    return 0


def is_unfinished(study: Study) -> bool:
    """Whether a trial is worked on or waits."""
    return any(not trial.state.is_finished() for trial in last_attempts(study))


def page(study: Study, search: Search) -> str:
    """All of it as text: a line on how far it is, a row a trial, and the rule of the knee where there is a front."""
    trials = last_attempts(study)
    best = {slot(trial) for trial in front(study)}
    chosen = knee(study)
    names = [*search.objectives, *map(last_part, search.space.ranges)]
    heads = ["trial", "state", *(name.removeprefix("val/") for name in names), "time", ""]
    rows = [cells(trial, search) for trial in trials if trial.state != TrialState.WAITING]
    for row in rows:
        if int(row[0]) in best:
            row[-1] = "front"
        if chosen is not None and row[0] == str(slot(chosen)):
            row[-1] = "knee" if len(search.objectives) > 1 else "best"
    return "\n".join([f"{study.study_name}: {progress(trials)}", "", *aligned([heads, *rows])])


def progress(trials: list[FrozenTrial]) -> str:
    """A bar, the number of trials in each state, and the time that is left."""
    states = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    ended = sum(trial.state.is_finished() for trial in trials)
    filled = BAR * ended // max(1, len(trials))
    counts = ", ".join(f"{count} {state.name.lower()}" for state, count in states.items() if count)
    left = time_left(trials)
    return f"[{'#' * filled}{'.' * (BAR - filled)}] {ended}/{len(trials)}  {counts}" + (
        f", {left} left" if left else ""
    )


def cells(trial: FrozenTrial, search: Search) -> list[str]:
    """A trial's row; a running one shows its last value and epoch, a failed one why."""
    values = [short(value) for value in trial.values or []]
    if trial.state == TrialState.RUNNING and trial.last_step:
        values = [short(trial.intermediate_values[trial.last_step])]
    values += [""] * (len(search.objectives) - len(values))
    chosen = [short(trial.params[path]) if path in trial.params else "" for path in search.space.ranges]
    seconds = f"{trial.duration.total_seconds():.0f} s" if trial.duration else f"epoch {trial.last_step or 0}"
    note = reason(trial)[:60] if trial.state == TrialState.FAIL else ""
    return [str(slot(trial)), trial.state.name, *values, *chosen, seconds, note]


def last_part(path: str) -> str:
    return path.removeprefix("model.").removeprefix("trainer.")


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of equally many cells, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
