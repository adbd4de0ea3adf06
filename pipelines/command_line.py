"""From the words of a command to a checked configuration, before anything heavy is imported."""

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from lit_ae.errors import UserError
from pipelines.catalogue import Catalogue, check_value, flatten
from pipelines.options import GROUPS
from pipelines.rank import is_rank_zero
from pipelines.signatures import Parameter, Sources
from pipelines.values import closest

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "pipelines" / "recipes"
DEFAULT_RECIPE = "vae_digits"
RECIPE_OF = {  # the default where such data are named, and no model
    "Arrays": "autoencoder_table",
    "MNIST": "vae_mnist",
    "NetworkTraffic": "autoencoder_network_traffic",
    "SMILES": "vae_smiles",
    "Sensors": "autoencoder_sensors",
    "Sequences": "vae_smiles",
    "Series": "autoencoder_table",
    "Table": "autoencoder_table",
}
FLAGS = {"help", "print_config", "recipe"}  # options that may stand without a value


class Request(NamedTuple):
    """A command, read.

    Attributes:
        arguments: what the parser is given: configuration files first, then the flags that change them.
        resume: the id of the run to go on with, or None.
    """

    arguments: list[str]
    resume: str | None


def grouped_options() -> dict[str, Parameter]:
    """The command's own options that stand in groups, such as ``evaluation.nll_samples``."""
    sources = Sources([ROOT / "pipelines" / "options.py", ROOT / "lit_ae" / "detection" / "settings.py"], "object")
    groups = {group: made.__name__ for group, made in GROUPS.items()}
    return {
        f"{group}.{parameter.name}": parameter
        for group, name in groups.items()
        for parameter in sources.entry(name).parameters.values()
    }


def own_options() -> dict[str, str]:
    """The options that belong to the command itself, with their help."""
    grouped = {name: f"{option.help} (default {option.default})" for name, option in grouped_options().items()}
    return {
        "recipe": f"An experiment of pipelines/recipes by name, or a YAML file (default "
        f"{DEFAULT_RECIPE}, or with --data alone one for such data).",
        "resume": "Go on with this run (its id) from its last checkpoint, in the same MLflow run.",
        **grouped,
    }


def read(argv: list[str]) -> Request:
    """Expands recipes and ``runs:/`` addresses, and checks every name; ``--help`` prints and ends the program.

    Raises:
        UserError: for a name that nothing answers to, or a file that can't be read.
    """
    catalogue, own = Catalogue(ROOT), own_options()
    options = list(split_options(argv))
    _answer_help(options, catalogue, own)
    flags = [(name, value) for name, value in options if name not in ("recipe", "resume", "config")]
    given = {name: value for name, value in options if name in ("recipe", "resume") and value}
    files = [named_file(given["recipe"])] if "recipe" in given else []
    files += [local_file(value or "") for name, value in options if name == "config"]
    if "resume" in given and not files:
        files = [local_file(f"runs:/{given['resume']}/config.yaml", _output_dir(flags))]
    if not files and "model" not in dict(flags):
        data = (dict(flags).get("data") or "").rpartition(".")[2]
        files = [named_file(RECIPE_OF.get(data, DEFAULT_RECIPE))]
    named = [*(option for file in files for option in flatten(read_yaml(file))), *flags]
    catalogue.check(named, own)
    grouped = grouped_options()
    for name, value in named:
        if name in grouped:
            check_value(name, grouped[name], value)
    arguments = [f"--config={file}" for file in files]
    arguments += [f"--{name}" if value is None else f"--{name}={value}" for name, value in flags]
    return Request(arguments, given.get("resume"))


def split_options(argv: list[str], flags: set[str] = FLAGS) -> Iterator[tuple[str, str | None]]:
    """``--a=1 --b 2 --c`` as pairs of name and value; ``flags`` may stand without one.

    Raises:
        UserError: a word is no option, or an option has no value.
    """
    words = ["--help" if word == "-h" else word for word in argv]
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise UserError(f"'{word}' is not an option: options begin with --, see --help.")
        name, is_joined, value = word[2:].partition("=")
        if is_joined:
            yield name, value
        elif words and not words[0].startswith("--"):
            yield name, words.pop(0)
        elif name.partition(".")[0] in flags:
            yield name, None
        else:
            raise UserError(f"--{name} needs a value: write --{name} VALUE.")


def _answer_help(options: list[tuple[str, str | None]], catalogue: Catalogue, own: dict[str, str]) -> None:
    for name, value in options:
        if name.partition(".")[0] == "help":
            print(catalogue.help_text_of(value) if value else catalogue.help_text(own))
            sys.exit(0)


def named_file(name: str, folder: Path = RECIPES, kind: str = "recipe") -> Path:
    """The YAML file of a recipe, or of another ``kind`` that stands in ``folder``, by its name or its own path.

    Raises:
        UserError: there is none.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return local_file(name)
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if name not in known:
        nearest = closest(name, known)
        hint = f"did you mean {nearest}?" if nearest else "see --help for all of them."
        raise UserError(f"Unknown {kind} '{name}': {hint}")
    return known[name]


def _output_dir(flags: list[tuple[str, str | None]]) -> Path:
    return Path(dict(flags).get("tracking.output_dir") or "outputs")


def local_file(address: str, output_dir: Path = Path("outputs")) -> Path:
    """A readable local file for a path or ``runs:/<run id>/<artefact>``."""
    path = Path(address)
    if address.startswith("runs:/"):
        run_id, _, artefact = address.removeprefix("runs:/").strip("/").partition("/")
        path = output_dir / run_id / artefact
        if not path.is_file():
            path = _downloaded(run_id, artefact)
    if not path.is_file():
        raise UserError(f"There is no file {address}: give --config a YAML file or runs:/<run id>/config.yaml.")
    return path


def _downloaded(run_id: str, artefact: str) -> Path:
    from pipelines.artifacts import download

    return download(run_id, artefact)


def read_yaml(file: Path) -> dict[str, Any]:
    """The sections of a YAML file.

    Raises:
        UserError: it can't be read, or holds no sections.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{file} is not YAML, {place}{error.problem}.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file} can't be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UserError(f"{file} must hold sections such as model: and data:, and holds {found}.")
    return content


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns a user's mistake, and a full disk, into one line on standard error and exit code 2."""
    try:
        yield
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        place = error.filename or f"{Path.cwd()} or {tempfile.gettempdir()}"
        _refuse(f"The disk of {place} is full: free some space, and give the command again.")


def _refuse(reason: str) -> NoReturn:
    if is_rank_zero():
        print(f"lit-ae: {reason}", file=sys.stderr)
        _end_given_run(reason)
    sys.exit(2)


def _end_given_run(reason: str) -> None:
    """The run that ``mlflow run`` has made for a command that never came to open it is FAILED."""
    if "MLFLOW_RUN_ID" in os.environ:
        from pipelines.store import fail_given_run

        fail_given_run(reason)


def run(command: Callable[[Request], int], argv: list[str] | None = None) -> int:
    """Reads the command line and hands it to ``command``, whose exit code it returns."""
    with one_line_errors():
        return command(read(sys.argv[1:] if argv is None else argv))
