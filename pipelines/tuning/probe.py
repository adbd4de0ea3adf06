"""What can be refused before the first trial: paths, ranges, and objectives that no training logs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from lit_ae.errors import UserError
from pipelines.checks import check
from pipelines.configuration import CommandLine
from pipelines.tuning.definition import Definition, Search
from pipelines.tuning.detection import detection_names
from pipelines.tuning.space import Range, Value
from pipelines.tuning.trial import configured
from pipelines.values import closest


class Probed(NamedTuple):
    """What a study's training turned out to be.

    Attributes:
        epochs: of a training, at most.
        is_isolated: whether it starts further processes.
        experiment: the MLflow experiment of its runs.
        output_dir: where its runs' directories stand.
        defaults: the recipe's own values of the searched paths.
    """

    epochs: int
    is_isolated: bool
    experiment: str
    output_dir: str
    defaults: dict[str, Value]


def probe(definition: Definition) -> Probed:
    """Makes the recipe's training and those at the ends of every range, and trains none.

    Raises:
        UserError: one of them can't be, or does not log the objective.
    """
    search = Search(**definition.search)
    line = configured(definition, {})
    check(line)
    _check_objectives(search, logged(line))
    defaults = defaults_of(search, yaml.safe_load(line.resolved)) if search.defaults else {}
    for path, one in search.space.ranges.items():
        for value in one.samples:
            _try(definition, {**search.space.context(path), path: value}, one)
    epochs, tracking = max(line.trainer.max_epochs or 0, 0), line.option("tracking")
    is_isolated = line.trainer.strategy.launcher is not None
    return Probed(epochs, is_isolated, tracking.experiment, tracking.output_dir, defaults)


def logged(line: CommandLine) -> list[str]:
    """The figures of the tuning split that a training logs, told by one batch."""
    model, measures = line.model.eval(), line.model.measures()
    batch = next(iter(line.datamodule.val_dataloader()))
    _, means = model.objective(batch, None, measures)
    names = {"loss", "mse", *means, *(measures.unit_of if measures else ())}
    return sorted([*(f"val/{name}" for name in names), *detection_names(line)])


def _check_objectives(search: Search, known: list[str]) -> None:
    for name in search.objectives:
        if name.startswith("val/") and name not in known:
            near = closest(name, known)
            hint = f"did you mean {near}? " if near else ""
            raise UserError(f"No training of this study logs {name}: {hint}It logs {', '.join(known)}.")


def _try(definition: Definition, chosen: Mapping[str, Value], one: Range) -> None:
    try:
        configured(definition, chosen)
    except UserError as error:
        raise UserError(f"space.{one.path} can't be {chosen[one.path]}: {error}") from error


def defaults_of(search: Search, resolved: Mapping[str, Any]) -> dict[str, Value]:
    """The recipe's own value of each path that exists in it.

    Raises:
        UserError: it lies outside its range.
    """
    found: dict[str, Value] = {}
    for path, one in search.space.ranges.items():
        if not one.is_active(found):
            continue
        own = value_at(resolved, path)
        value = one.holds(own)
        if value is None:
            raise UserError(
                f"space.{path} does not hold the recipe's own value, {own}: widen it, or set defaults to false."
            )
        found[path] = value
    return found


def value_at(resolved: Mapping[str, Any], path: str) -> Any:
    """What a resolved configuration has at a path; of a class, its name."""
    node: Any = resolved
    for part in path.split("."):
        if isinstance(node, Mapping) and "class_path" in node:
            node = node.get("init_args") or {}
        node = node.get(part) if isinstance(node, Mapping) else None
    return node["class_path"].rpartition(".")[2] if isinstance(node, Mapping) and "class_path" in node else node
