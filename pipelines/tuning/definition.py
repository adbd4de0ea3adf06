"""What a study is: the training that it repeats, what it searches, what for, and how long. Light to import."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from lit_ae.errors import UserError
from pipelines.catalogue import flatten
from pipelines.command_line import Request
from pipelines.tuning.space import Space, Value
from pipelines.values import closest

Sampler = Literal["tpe", "random", "nsga2", "cmaes", "qmc"]
Pruner = Literal["none", "median", "hyperband"]
Direction = Literal["minimize", "maximize"]
AVERAGE_PRECISION = "val/average_precision"  # of a trial's detector
LOWER = {"loss", "mse", "reconstruction", "nll", "dead_units", "fid"}
HIGHER = {"elbo", "psnr", "ssim", "auroc", "perplexity", "code_usage", "linear_probe"}


class Search:
    """How a study searches, what for, and when it ends.

    Args:
        recipe: the training that is repeated: an experiment of pipelines/recipes by name, or a YAML file.
        space: by path of the configuration, the range that is searched.
        objectives: by figure of the tuning split (val/...), or by searched path, minimize or maximize; the direction
            may be left out where only one makes sense.
        training: what is changed of the recipe, written as one.
        sampler: tpe (multivariate, constant liar), random, nsga2, cmaes or qmc.
        pruner: which trials are given up early, by one objective: none, median or hyperband.
        trials: how many; none for no end.
        minutes: after so many no trial begins; none for no end.
        seeds: trainings of each trial, each with a seed of its own; the trial's value is their median.
        seed: of the sampler; the first training seed of every trial is the recipe's.
        defaults: whether the first trial is the recipe as it is.
        failures: so many failed trials in a row end the study.
        retries: how often a trial whose process died is taken up again.
    """

    def __init__(
        self,
        recipe: str,
        space: dict[str, Any],
        objectives: dict[str, Any] | list[str] | str = "val/loss",
        training: dict[str, Any] | None = None,
        sampler: Sampler = "tpe",
        pruner: Pruner = "none",
        trials: int | None = 30,
        minutes: float | None = None,
        seeds: int = 1,
        seed: int = 0,
        defaults: bool = True,
        failures: int = 5,
        retries: int = 2,
    ):
        self.recipe, self.training = recipe, training or {}
        self.space, self.objectives = Space(space), _directed(objectives)
        self.sampler, self.pruner = _one_of("sampler", sampler, Sampler), _one_of("pruner", pruner, Pruner)
        self.trials, self.minutes = trials, minutes
        self.seeds, self.seed, self.defaults, self.failures, self.retries = seeds, seed, defaults, failures, retries
        self._check()

    def _check(self) -> None:
        for name in ("trials", "seeds", "failures"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UserError(f"{name} must be a whole number of at least 1, not {value}.")
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"minutes must be above 0, not {self.minutes}.")
        if self.trials is None and self.minutes is None:
            raise UserError("The study would never end: set trials, minutes, or both.")
        if self.pruner != "none" and len(self.objectives) > 1:
            raise UserError("A pruner judges by one objective, and there are several: set pruner to none.")
        for name in self.objectives:
            if not name.startswith("val/") and name not in self.space.ranges:
                raise UserError(f"The objective {name} is neither a figure of the tuning split (val/...) nor searched.")


class Definition(NamedTuple):
    """A study as it is kept in its storage, whole: any machine with the same code can work on it.

    Attributes:
        name: of the study.
        base: the recipe's content.
        flags: what changes it, as pairs of name and value.
        search: the arguments of :class:`Search`.
    """

    name: str
    base: dict[str, Any]
    flags: list[list[str]]
    search: dict[str, Any]

    @property
    def options(self) -> list[tuple[str, str | None]]:
        """The training's own options in order of precedence."""
        written = [option for section in self.sections for option in flatten(section)]
        return [*written, *((name, value) for name, value in self.flags)]

    @property
    def base_seed(self) -> int:
        """The recipe's own seed."""
        given = str(dict(self.options).get("seed_everything", 0))
        return int(given) if given.isdecimal() else 0

    @property
    def sections(self) -> list[dict[str, Any]]:
        """The recipe, and what the study changes of it."""
        return [self.base, *([self.search["training"]] if self.search.get("training") else [])]

    def changes(self, chosen: Mapping[str, Value]) -> list[str]:
        """The flags of one training of the study."""
        searched = [f"--{path}={_text(value)}" for path, value in chosen.items()]
        return [*(f"--{name}={value}" for name, value in self.flags), *searched]

    def request(self, chosen: Mapping[str, Value], *more: str) -> Request:
        """The command of one training of the study, in this process."""
        files = [f"--config={json.dumps(section)}" for section in self.sections]
        return Request([*files, *self.changes(chosen), *more], None)

    def differs_from(self, other: "Definition") -> str | None:
        """In words what makes another study of it; its length, its sampler and its pruner don't."""
        mine, theirs = Search(**self.search), Search(**other.search)
        for what, a, b in (
            ("space", mine.space.ranges, theirs.space.ranges),
            ("objective", [*mine.objectives.items()], [*theirs.objectives.items()]),
            ("number of seeds", mine.seeds, theirs.seeds),
            ("training", self.options, other.options),
        ):
            if a != b:
                return what
        return None


def _directed(objectives: Mapping[str, Any] | Iterable[str] | str) -> dict[str, Direction]:
    """Each objective with its direction.

    Raises:
        UserError: a direction is missing, unknown, or contradicts the figure.
    """
    names = [objectives] if isinstance(objectives, str) else objectives
    given = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    if not given:
        raise UserError("The study has no objective: name a figure of the tuning split, such as val/loss.")
    return {name: _direction(name, direction) for name, direction in given.items()}


def _direction(name: str, given: object) -> Direction:
    figure = name.rpartition("/")[2]
    is_high = figure in HIGHER or name.startswith(AVERAGE_PRECISION)
    natural: Direction | None = "minimize" if figure in LOWER else "maximize" if is_high else None
    if given is None and natural is None:
        raise UserError(f"objectives: say whether {name} is to be minimized or maximized: {{{name}: minimize}}.")
    direction: Direction = natural or "minimize"
    if given is not None:
        direction = _one_of(f"objectives.{name}", given, Direction)
    if natural and direction != natural:
        raise UserError(f"objectives.{name} is {direction}, but a good {figure} is {natural}d: write {natural}.")
    return direction


def _one_of(option: str, value: Any, choices: Any) -> Any:
    if value not in get_args(choices):
        near = closest(str(value), get_args(choices))
        hint = f": did you mean {near}?" if near else ":"
        raise UserError(f"{option} can't be '{value}'{hint} It takes {', '.join(get_args(choices))}.")
    return value


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
