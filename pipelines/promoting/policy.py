"""What a model must show to become champion, as a YAML file says. Light to import: names are checked by it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from lit_ae.errors import UserError
from pipelines.command_line import RECIPES, named_file, read_yaml
from pipelines.values import closest

POLICIES = RECIPES / "policies"
DEFAULT = "default"
FIGURES = ("auto", "ap", "auroc", "reconstruction")
ENVIRONMENTS = ("process", "virtualenv", "uv")
CHOICES = {"figure": FIGURES, "environment": ENVIRONMENTS}
BOUNDS = {"level": (0.5, 0.9999), "resamples": (10, 100_000), "rows": (10, 100_000), "budget": (1e-9, 1)}


@dataclass(frozen=True)
class NotWorse:
    """Fails a figure that is shown to be worse than the champion's, or that may be worse by more than a margin.

    Args:
        figure: ap, auroc, reconstruction (error, of the champion's model space), or auto: ap where there are labels and
            detectors, else reconstruction.
        margin: how much worse it may be at the interval's worse end, as a share of the champion's figure.
        floor: what the figure must reach whatever the champion's is (for reconstruction: at most); none for no such.
        level: of the interval.
        resamples: of the paired bootstrap.
    """

    figure: str = "auto"
    margin: float = 0.05
    floor: float | None = None
    level: float = 0.95
    resamples: int = 1000


@dataclass(frozen=True)
class OnCalibration:
    """As :class:`NotWorse`, of the average precision of calibration rows against damaged copies of them.

    Args:
        margin: as a share of the champion's figure.
        rows: calibration rows that are looked at, at most.
        level: of the interval.
        resamples: of the paired bootstrap.
    """

    margin: float = 0.05
    rows: int = 1000
    level: float = 0.95
    resamples: int = 300


@dataclass(frozen=True)
class Recall:
    """As :class:`NotWorse`, of the highest recall within a rate of false alarms on the test rows.

    Args:
        budget: that rate; by default the budget of the model's own detector.
        margin: as a share of the champion's recall.
        floor: what it must reach whatever the champion's is.
        level: of the interval.
        resamples: of the paired bootstrap.
    """

    budget: float | None = None
    margin: float = 0.1
    floor: float | None = None
    level: float = 0.95
    resamples: int = 1000


@dataclass(frozen=True)
class FalseAlarms:
    """Fails a model whose realised rate of false alarms on the test rows is shown to exceed its budget.

    Args:
        excess: the budget is multiplied by this first; above 1 where test rows are known to be unlike earlier ones.
        level: of the Clopper-Pearson interval, whose lower end must not lie above the budget.
    """

    excess: float = 1.0
    level: float = 0.95


@dataclass(frozen=True)
class Latency:
    """Fails a model that answers too slowly. Measured in one process, in turns with the champion.

    Args:
        one_row_ms: most milliseconds for one row (median).
        rows_per_second: least rows a second in batches.
        slowdown: most times the champion's milliseconds, and of its seconds a row.
    """

    one_row_ms: float | None = None
    rows_per_second: float | None = None
    slowdown: float | None = 3.0


@dataclass(frozen=True)
class Size:
    """Fails a packed model that is too large.

    Args:
        megabytes: most 10⁶ bytes.
        growth: most times the champion's bytes.
    """

    megabytes: float | None = None
    growth: float | None = 3.0


@dataclass(frozen=True)
class Schema:
    """Fails a model that does not take what the champion takes, or does not answer what it answers."""


@dataclass(frozen=True)
class Loads:
    """Fails a model that does not load and answer by its own code where this project can't be imported.

    Args:
        environment: process (these packages, the model's own code), or a new environment of the model's own
            requirements: virtualenv or uv.
    """

    environment: str = "process"


@dataclass(frozen=True)
class Reproduces:
    """Fails a model whose figures on the frozen test rows differ from those of its run.

    Args:
        tolerance: the largest difference; of the mean squared error as a share of what was logged.
    """

    tolerance: float = 0.001


@dataclass(frozen=True)
class RecallFloor:
    """Fails a first model whose highest recall within a rate of false alarms on the test rows is too low.

    Args:
        budget: that rate; by default the budget of the model's own detector.
        floor: the least recall.
    """

    budget: float | None = None
    floor: float = 0.0


@dataclass(frozen=True)
class Baseline:
    """Fails a first model that is no better than principal components of its size.

    Args:
        figure: as in :class:`NotWorse`.
        floor: what the figure must reach (for reconstruction: at most).
        level: of the interval.
        resamples: of the paired bootstrap.
    """

    figure: str = "auto"
    floor: float | None = None
    level: float = 0.95
    resamples: int = 1000


CHALLENGER: dict[str, type] = {
    "test": NotWorse,
    "calibration": OnCalibration,
    "recall": Recall,
    "false_alarms": FalseAlarms,
    "latency": Latency,
    "size": Size,
    "schema": Schema,
    "loads": Loads,
    "reproduces": Reproduces,
}
FIRST: dict[str, type] = {
    "baseline": Baseline,
    "recall": RecallFloor,
    **{name: CHALLENGER[name] for name in ("false_alarms", "latency", "size", "loads", "reproduces")},
}
SECTIONS = {"challenger": CHALLENGER, "first": FIRST}
Gates = Mapping[str, Any]
"""The options of each gate by its name."""


def _all(gates: dict[str, type]) -> Gates:
    return MappingProxyType({name: options() for name, options in gates.items()})


@dataclass(frozen=True)
class Policy:
    """The gates that are asked for.

    Attributes:
        challenger: of a model that stands against a champion.
        first: of the first model of a name.
    """

    challenger: Gates = field(default_factory=lambda: _all(CHALLENGER))
    first: Gates = field(default_factory=lambda: _all(FIRST))


def read_policy(name: str = DEFAULT) -> Policy:
    """The policy of a YAML file, by its path or by its name in ``pipelines/recipes/policies``.

    Raises:
        UserError: there is no such file, or it names an unknown section, gate, option or figure, or a value is wrong.
    """
    file = named_file(name, POLICIES, "policy")
    return as_policy(read_yaml(file), str(file))


def as_policy(content: Mapping[str, Any], place: str) -> Policy:
    """The policy that a mapping of sections says; a gate that a section leaves out is not asked for."""
    _known("section", content, SECTIONS, place)
    sections = {name: _gates(content.get(name), known, f"{place}, {name}") for name, known in SECTIONS.items()}
    return Policy(**sections)


def _gates(asked: Any, known: dict[str, type], place: str) -> Gates:
    if asked is None:
        return MappingProxyType({})
    if not isinstance(asked, dict):
        raise UserError(f"{place} must hold gates, such as size: {{growth: 2}}, and holds {asked!r}.")
    _known("gate", asked, known, place)
    return MappingProxyType({name: _options(known[name], given, f"{place}.{name}") for name, given in asked.items()})


def _options(gate: type, given: Any, place: str) -> Any:
    values = {} if given is None else given
    if not isinstance(values, dict):
        raise UserError(f"{place} must hold options, and holds {given!r}: write {{}} for those by default.")
    known = {one.name: one for one in fields(gate)}
    _known("option", values, known, place)
    for name, value in values.items():
        _check(f"{place}.{name}", name, value, known[name].type)
    return gate(**values)


def _check(place: str, name: str, value: Any, kind: Any) -> None:
    """Refuses a value that the option can't have."""
    if name in CHOICES:
        _known(name, [value], CHOICES[name], place)
        return
    if value is None and type(None) in get_args(kind):
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or (kind is int and not isinstance(value, int)):
        raise UserError(f"{place} can't be {value!r}: it takes {'a whole number' if kind is int else 'a number'}.")
    low, high = BOUNDS.get(name, (0.0, math.inf))
    if not low <= value <= high:
        raise UserError(f"{place} is {value}, but it must lie between {low:g} and {high:g}.")


def _known(what: str, given: Any, known: Any, place: str) -> None:
    for name in given:
        if name not in known:
            nearest = closest(str(name), known)
            hint = f"did you mean {nearest}?" if nearest else f"it takes {', '.join(known) or 'none'}."
            raise UserError(f"{place}: unknown {what} '{name}': {hint}")


def with_environment(policy: Policy, environment: str) -> Policy:
    """The same policy with another clean environment."""
    changed = {"loads": Loads(environment)}
    return Policy(MappingProxyType({**policy.challenger, **changed}), MappingProxyType({**policy.first, **changed}))


def policy_names(folder: Path = POLICIES) -> list[str]:
    """The policies that are shipped."""
    return sorted(file.stem for file in folder.glob("*.yaml"))
