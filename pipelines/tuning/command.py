"""From the words of ``pipelines.tune`` and a study's YAML to a checked definition. Light to import."""

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lit_ae.errors import UserError
from pipelines.catalogue import Catalogue
from pipelines.command_line import RECIPES, ROOT, named_file, own_options, read_yaml, split_options
from pipelines.signatures import Sources
from pipelines.tuning.definition import Definition, Search
from pipelines.values import closest

STUDIES = RECIPES / "studies"
STORAGE_VARIABLE = "LIT_AE_STORAGE"  # a password in it shows in no list of processes
ACTIONS = {
    "study": "A study of pipelines/recipes/studies by name, or a YAML file.",
    "name": "The study's name in its storage; by default that of its file.",
    "show": "Print the study's trials and its front, again and again while it runs; nothing is trained.",
    "dashboard": "Open Optuna Dashboard on the storage, at this port (8080).",
    "proxy": "Serve the storage by gRPC at this host:port, for machines that can't reach the database.",
}
FLAGS = {"help", "show", "dashboard", "join"}  # may stand without a value
HELP = """\
usage: python -m pipelines.tune --study NAME [--workers N] [--<option> VALUE]

Searches the options of a training by Optuna: every trial is an MLflow run inside the study's own.

Examples
  python -m pipelines.tune --study tune_beta --workers 2
  python -m pipelines.tune --study tune_beta --show
  python -m pipelines.tune --study tune_beta --sampler random --name tune_beta_random
  python -m pipelines.tune --study tune_beta --storage postgresql://user:password@host/studies --join
  python -m pipelines.tune --dashboard
"""


class Running:
    """How a study is worked on by this command, and what comes after.

    Args:
        workers: processes that work on trials.
        storage: a journal file (one machine), postgresql://user:password@host/database or grpc://host:port; without
            it LIT_AE_STORAGE says which.
        join: bring workers to a study that another command has begun, and nothing else.
        choose: the trial that is trained again: best, knee (of several objectives, see docs/tuning.md) or its number.
        final_seeds: trainings of the chosen trial on fit + tune, each tested once; 0 for none.
        register: name under which the first of them is registered as challenger; none by default.
    """

    def __init__(
        self,
        workers: int = 1,
        storage: str = "outputs/studies.journal",
        join: bool = False,
        choose: str | int = "knee",
        final_seeds: int = 3,
        register: str | None = None,
    ):
        self.workers, self.storage, self.join = _whole("workers", workers, 1), str(storage), bool(join)
        self.final_seeds, self.register = _whole("final_seeds", final_seeds, 0), register
        self.choose = choose
        if choose not in ("best", "knee") and not str(choose).isdecimal():
            raise UserError(f"choose takes best, knee or the number of a trial, not '{choose}'.")
        if register and not self.final_seeds:
            raise UserError("Nothing can be registered when final_seeds is 0: set it to 1 or more.")


class Asked(NamedTuple):
    """A command, read.

    Attributes:
        action: ``tune``, ``show``, ``dashboard`` or ``proxy``.
        definition: the study; None where the action needs none.
        running: how it is worked on.
        argument: the action's own, such as a port.
    """

    action: str
    definition: Definition | None
    running: Running
    argument: str


def read(argv: list[str]) -> Asked | None:
    """Checks every name of the command, its study and its recipe; None where ``--help`` was all.

    Raises:
        UserError: for a name that nothing answers to, a value that can't be, or a file that can't be read.
    """
    options = list(split_options(argv, FLAGS))
    if any(name == "help" for name, _ in options):
        print(help_text())
        return None
    given = {name: value for name, value in options if name in {**known("Search"), **known("Running"), **ACTIONS}}
    training = [(name, value) for name, value in options if name not in given]
    written = {**_from_environment(), **_study_file(given.get("study"))}
    arguments = {**written, **{name: _value(value) for name, value in given.items() if name not in ACTIONS}}
    running = Running(**_only(arguments, Running))
    action = next((name for name in ("dashboard", "proxy", "show") if _is_on(given.get(name), name in given)), "tune")
    definition = None
    if action in ("tune", "show") and "study" in given:
        definition = _definition(given, _only(arguments, Search), training)
    if action in ("tune", "show") and not definition:
        raise UserError(f"Which study? Say --study NAME, one of {', '.join(studies())}, or a YAML file.")
    return Asked(action, definition, running, given.get(action) or "")


def _definition(
    given: Mapping[str, str | None], arguments: dict[str, Any], training: list[tuple[str, str | None]]
) -> Definition:
    recipe = arguments.get("recipe")
    if not recipe:
        raise UserError("The study names no recipe: write recipe: NAME into it.")
    search = _made(Search, arguments)
    name = str(given.get("name") or Path(str(given["study"])).stem)
    flags = [[option, str(value)] for option, value in training]
    definition = Definition(name, read_yaml(named_file(str(recipe))), flags, arguments)
    catalogue = Catalogue(ROOT)
    own = {**own_options(), **known("Search"), **known("Running"), **ACTIONS}
    catalogue.check(definition.options, own)
    for path, one in search.space.ranges.items():
        context = [(other, str(value)) for other, value in search.space.context(path).items()]
        catalogue.check([*definition.options, *context, *((path, str(value)) for value in one.samples)], own)
        if path.partition(".")[0] not in ("model", "data", "trainer", "early_stopping", "detection"):
            raise UserError(
                f"space.{path} is no option of a training: begin it with model., data., trainer. or detection. ."
            )
    return definition


def _made(kind: Any, arguments: dict[str, Any]) -> Any:
    missing = [
        name
        for name, one in inspect.signature(kind).parameters.items()
        if one.default is inspect.Parameter.empty and name not in arguments
    ]
    if missing:
        raise UserError(f"The study has no {missing[0]}: see --help.")
    return kind(**arguments)


def _from_environment() -> dict[str, Any]:
    storage = os.environ.get(STORAGE_VARIABLE)
    return {"storage": storage} if storage else {}


def _study_file(name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    written = read_yaml(named_file(name, STUDIES, "study"))
    names = {**known("Search"), **known("Running")}
    for key in written:
        if key not in names:
            near = closest(str(key), names)
            raise UserError(f"{name} has no use for '{key}': " + (f"did you mean {near}?" if near else "see --help."))
    return written


def _only(arguments: Mapping[str, Any], kind: type) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in known(kind.__name__)}


def known(kind: str) -> dict[str, str]:
    """The options of Search or Running with their help, read from the source text."""
    files = [ROOT / "pipelines" / "tuning" / name for name in ("definition.py", "command.py")]
    parameters = Sources(files, "object").entry(kind).parameters.values()
    return {one.name: f"{one.help} (default {one.default})".replace(" (default None)", "") for one in parameters}


def studies() -> list[str]:
    """The ready studies by name."""
    return sorted(file.stem for file in STUDIES.glob("*.yaml"))


def help_text() -> str:
    """The page for ``--help``."""
    tables = {
        "Studies (--study NAME)": {file.stem: _first_line(file) for file in sorted(STUDIES.glob("*.yaml"))},
        "Options": {f"--{name}": text for name, text in {**ACTIONS, **known("Running")}.items()},
        "Options of the search, in its YAML too": {f"--{name}": text for name, text in known("Search").items()},
        "Options of the training": {"--model.… --data.… --trainer.…": "See python -m pipelines.train --help."},
    }
    from pipelines.catalogue import table

    return "\n\n".join([HELP.rstrip(), *(table(title, rows) for title, rows in tables.items())])


def _first_line(file: Path) -> str:
    return file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _value(text: str | None) -> Any:
    """What a flag's text means, as YAML reads it; a flag without a value is true."""
    return True if text is None else yaml.safe_load(text)


def _is_on(value: str | None, is_given: bool) -> bool:
    return is_given and str(value).lower() not in ("false", "0")


def _whole(name: str, value: Any, lowest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise UserError(f"{name} must be a whole number of at least {lowest}, not {value}.")
    return value
