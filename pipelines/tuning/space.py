"""The search space of a study: ranges over the paths of a configuration, some of them conditional."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lit_ae.errors import UserError
from pipelines.values import closest

if TYPE_CHECKING:
    from optuna import Trial

KINDS = ("int", "float", "categorical")
OPTIONS = {"int": {"log", "step"}, "float": {"log", "step"}, "categorical": set[str]()}
Value = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """What one path may be, as the study's YAML has it.

    Attributes:
        path: a configuration's path such as ``model.latent_dim``.
        kind: ``int``, ``float`` or ``categorical``.
        values: lowest and highest value, or the choices.
        log: whether the logarithm is searched evenly.
        step: distance of two neighbouring values, or None.
        when: the choices of other paths under which this one exists.
    """

    path: str
    kind: str
    values: tuple[Any, ...]
    log: bool = False
    step: float | None = None
    when: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, path: str, written: object) -> "Range":
        """The range of ``{int: [2, 64], log: true}``.

        Raises:
            UserError: it is none, or it is empty or inverted.
        """
        if not isinstance(written, Mapping):
            raise UserError(f"space.{path} is no range: write {{int: [2, 64]}}, {{float: [0.1, 1]}} or categorical.")
        kinds = [key for key in written if key in KINDS]
        if len(kinds) != 1:
            raise UserError(f"space.{path} must name one of {', '.join(KINDS)}, not {', '.join(map(str, written))}.")
        kind = kinds[0]
        unknown = sorted(set(written) - {kind, "when"} - OPTIONS[kind])
        if unknown:
            near = closest(unknown[0], [*OPTIONS[kind], "when"])
            hint = f": did you mean {near}?" if near else "."
            raise UserError(f"space.{path}: a range of kind {kind} has no option '{unknown[0]}'{hint}")
        values = written[kind]
        if not isinstance(values, list | tuple):
            raise UserError(f"space.{path}: {kind} needs a list of values, not {values!r}.")
        one = cls(path, kind, tuple(values), bool(written.get("log")), written.get("step"), written.get("when"))
        one._check()
        return one

    def _check(self) -> None:
        if self.kind == "categorical":
            if len({str(value) for value in self.values}) < max(1, len(self.values)):
                raise UserError(f"space.{self.path} is empty or names a choice twice: list each choice once.")
            return
        number = int if self.kind == "int" else (int, float)
        if len(self.values) != 2 or not all(isinstance(v, number) and not isinstance(v, bool) for v in self.values):
            raise UserError(f"space.{self.path} needs the lowest and the highest {self.kind}: {list(self.values)}.")
        low, high = self.values
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UserError(f"space.{self.path} is empty: {low} is not below {high}; write the lower one first.")
        if self.log and (low <= 0 or self.step is not None):
            raise UserError(f"space.{self.path}: log needs a lowest value above 0 and no step.")
        if self.step is not None and not 0 < self.step <= high - low:
            raise UserError(f"space.{self.path}: step must be above 0 and at most {high - low}, not {self.step}.")

    def is_active(self, chosen: Mapping[str, Value]) -> bool:
        """Whether the path exists beside what has been chosen."""
        return all(path in chosen and _same(chosen[path], wanted) for path, wanted in (self.when or {}).items())

    def holds(self, value: object) -> Value | None:
        """The value as this range has it, or None where it lies outside."""
        if self.kind == "categorical":
            return next((_plain(one) for one in self.values if _same(one, value)), None)
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.kind == "int" and value % 1):
            return None
        exact = int(value) if self.kind == "int" else float(value)
        low, high = self.values
        steps = (exact - low) / self.step if self.step else 0.0
        on_grid = math.isclose(steps, round(steps), abs_tol=1e-9)
        return exact if low <= exact <= high and on_grid else None

    @property
    def samples(self) -> list[Value]:
        """Values that show whether the whole range is possible: both ends, or every choice."""
        return [_plain(value) for value in self.values]

    def suggest(self, trial: "Trial") -> Value:
        """The trial's value."""
        if self.kind == "categorical":
            return _plain(trial.suggest_categorical(self.path, self.samples))
        low, high = self.values
        if self.kind == "int":
            return trial.suggest_int(self.path, low, high, log=self.log, step=int(self.step or 1))
        return trial.suggest_float(self.path, low, high, log=self.log, step=self.step)


class Space:
    """All ranges of a study, those that others depend on first.

    Args:
        written: by path, as the YAML has them.

    Raises:
        UserError: a range is none, or depends on what is no choice.
    """

    def __init__(self, written: Mapping[str, Any]):
        if not written:
            raise UserError("The study has no space: name what is searched, such as model.latent_dim: {int: [2, 64]}.")
        ranges = {path: Range.read(path, one) for path, one in written.items()}
        for one in ranges.values():
            for other, wanted in (one.when or {}).items():
                _check_condition(one, other, wanted, ranges)
        self.ranges = {one.path: one for one in _by_dependence(ranges)}

    def suggest(self, trial: "Trial") -> dict[str, Value]:
        """What the trial is to be trained with, by path."""
        chosen: dict[str, Value] = {}
        for path, one in self.ranges.items():
            if one.is_active(chosen):
                chosen[path] = one.suggest(trial)
        return chosen

    def context(self, path: str) -> dict[str, Value]:
        """Choices under which the path exists."""
        needed: dict[str, Value] = {}
        for other, wanted in (self.ranges[path].when or {}).items():
            needed |= self.context(other) | {other: _plain(wanted)}
        return needed


def _check_condition(one: Range, other: str, wanted: object, ranges: Mapping[str, Range]) -> None:
    if other not in ranges or ranges[other].kind != "categorical" or ranges[other].holds(wanted) is None:
        near = closest(other, ranges)
        choices = f" one of {', '.join(map(str, ranges[other].values))}" if other in ranges else ""
        hint = f"did you mean {near}?" if near and near != other else f"name a categorical path of the space{choices}."
        raise UserError(f"space.{one.path}: when names {other} = {wanted}: {hint}")


def _by_dependence(ranges: Mapping[str, Range]) -> list[Range]:
    ordered: list[Range] = []
    while len(ordered) < len(ranges):
        done = {one.path for one in ordered}
        ready = [one for one in ranges.values() if one.path not in done and set(one.when or {}) <= done]
        if not ready:
            raise UserError(f"space: {', '.join(set(ranges) - done)} depend on each other in a circle.")
        ordered += ready
    return ordered


def _plain(value: object) -> Value:
    return value if isinstance(value, bool | int | float | str) else "null" if value is None else str(value)


def _same(one: object, other: object) -> bool:
    """Whether two texts or numbers mean the same; a class may be named with its module or without."""
    names = [value.rpartition(".")[2] for value in (one, other) if isinstance(value, str) and _is_name(value)]
    return names[0] == names[1] if len(names) == 2 else _plain(one) == _plain(other)


def _is_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
