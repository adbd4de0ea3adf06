"""What a study leaves in its MLflow run: its trials as a table, pictures of the search, the front and its knee."""

import csv
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import optuna.visualization.matplotlib as drawn
import yaml
from matplotlib.figure import Figure
from optuna import Study
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from pipelines import drawing
from pipelines.provenance import NOTE
from pipelines.tracking import Tracker
from pipelines.tuning.definition import Search
from pipelines.tuning.front import RULE, choose, front, knee
from pipelines.tuning.liveness import last_attempts, slot
from pipelines.tuning.plan import plan_of, reason
from pipelines.tuning.progress import parameters
from pipelines.tuning.trial import RUNS

MOST_IMPORTANT = 3  # parameters whose pairs have contour plots
TOO_LITTLE = (ValueError, RuntimeError, ZeroDivisionError)  # what Optuna says of too few trials, or all alike


def log_report(study: Study, tracker: Tracker, wanted: str | int) -> FrozenTrial | None:
    """Writes and logs all of it; returns the trial that is chosen, None where none is complete."""
    plan = plan_of(study)
    assert plan is not None
    folder = tracker.directory / "study"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(plan.definition._asdict(), sort_keys=False))
    write_trials(study, plan.search, folder / "trials.csv")
    choice = choose(study, wanted)
    if choice is not None:
        draw_all(study, plan.search, folder)
        text = summary(study, plan.search, choice)
        (folder / "summary.md").write_text(text)
        tracker.set_tags({NOTE: text, "lit_ae.chosen_trial": str(slot(choice))})
        print(f"\n{text}", flush=True)
    tracker.log_file(folder, "study")
    return choice


def write_trials(study: Study, search: Search, path: Path) -> None:
    """A row a trial: number, state, MLflow run, parameters, objectives, seconds, and why it failed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", "run_id", *search.space.ranges, *search.objectives, "seconds", "reason"])
        for trial in last_attempts(study):
            values = trial.values or [""] * len(search.objectives)
            chosen = [trial.params.get(path, "") for path in search.space.ranges]
            seconds = trial.duration.total_seconds() if trial.duration else ""
            runs = trial.user_attrs.get(RUNS, {})
            why = reason(trial) if trial.state == TrialState.FAIL else ""
            row = [slot(trial), trial.state.name, runs.get("all", runs.get("0", "")), *chosen, *values, seconds, why]
            writer.writerow(row)


def summary(study: Study, search: Search, choice: FrozenTrial) -> str:
    """The study in Markdown: how its trials ended, the front, and what was chosen by which rule."""
    trials = last_attempts(study)
    states = {state.name: sum(trial.state == state for trial in trials) for state in TrialState}
    counted = ", ".join(f"{count} {name}" for name, count in states.items() if count)
    heads = " | ".join(search.objectives)
    lines = [
        f"{counted}.",
        "",
        f"| trial | {heads} | parameters |",
        "| --- |" + " --- |" * (len(search.objectives) + 1),
    ]
    for trial in front(study):
        values = " | ".join(f"{value:.5g}" for value in trial.values)
        mark = " (chosen)" if slot(trial) == slot(choice) else ""
        lines.append(f"| {slot(trial)}{mark} | {values} | {parameters(trial)} |")
    rule = ["", RULE] if len(search.objectives) > 1 else []
    return "\n".join([*lines, *rule]) + "\n"


def draw_all(study: Study, search: Search, folder: Path) -> None:
    """Every picture that the study has enough trials for."""
    plt.switch_backend("agg")
    with warnings.catch_warnings(), mpl.rc_context():  # Optuna sets a style of its own for the whole process
        warnings.simplefilter("ignore")
        for name, draw in pictures(study, search):
            try:
                figure = figure_of(draw())
            except TOO_LITTLE:
                continue
            figure.set_size_inches(max(8.0, figure.get_size_inches()[0]), max(5.0, figure.get_size_inches()[1]))
            drawing.save(figure, folder / f"{name}.png")
            plt.close("all")


def pictures(study: Study, search: Search) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and maker of each picture."""
    for index, name in enumerate(search.objectives):
        suffix = ""
        about: dict[str, Any] = {}
        if len(search.objectives) > 1:
            suffix, about = f"_{name.replace('/', '_')}", {"target": partial(value_of, index), "target_name": name}
        yield f"history{suffix}", partial(drawn.plot_optimization_history, study, **about)
        yield f"slice{suffix}", partial(drawn.plot_slice, study, **about)
        yield f"importances{suffix}", partial(drawn.plot_param_importances, study, **about)
        for pair in important_pairs(study, index):
            parts = "_".join(path.rpartition(".")[2] for path in pair)
            yield f"contour{suffix}_{parts}", partial(drawn.plot_contour, study, params=list(pair), **about)
    if 2 <= len(search.objectives) <= 3:
        yield "front", partial(front_and_knee, study, list(search.objectives))
    if len(search.objectives) == 1:
        yield "curves", partial(drawn.plot_intermediate_values, study)


def front_and_knee(study: Study, names: list[str]) -> Any:
    """The front among all trials, with a ring around its knee."""
    axes: Any = drawn.plot_pareto_front(study, target_names=names)
    trial = knee(study)
    if trial is not None:
        place = [[value] for value in trial.values]
        axes.scatter(*place, s=180, facecolors="none", edgecolors="black", label=f"Knee: trial {slot(trial)}")
        axes.legend()
    return axes


def value_of(index: int, trial: FrozenTrial) -> float:
    """One of a trial's objectives."""
    return trial.values[index]


def important_pairs(study: Study, index: int) -> list[tuple[str, str]]:
    """Pairs of the parameters that matter most for an objective, as far as some trials have both."""
    try:
        ranked = list(get_param_importances(study, target=partial(value_of, index)))
    except TOO_LITTLE:
        return []
    trials = [set(trial.params) for trial in study.get_trials(deepcopy=False)]
    return [pair for pair in combinations(ranked[:MOST_IMPORTANT], 2) if any(set(pair) <= names for names in trials)]


def figure_of(axes: Any) -> Figure:
    """The figure that axes, or an array of them, stand in."""
    return (axes.flat[0] if hasattr(axes, "flat") else axes).figure
