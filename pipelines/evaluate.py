"""Judges a model on any data, in an MLflow run of its own: ``python -m pipelines.evaluate --help``."""

import json
import sys
from typing import Any, NamedTuple

from lit_ae.errors import UserError
from pipelines.catalogue import Catalogue, flatten
from pipelines.command_line import ROOT, local_file, one_line_errors, own_options, read_yaml, split_options

USAGE = """\
usage: python -m pipelines.evaluate MODEL [--data CLASS] [--data.<option> VALUE] [--config FILE] [--<option> VALUE]

Judges a trained model on the test rows of any data that fits it; figures, pictures and report are a run of their own.
MODEL is a run's id, runs:/<run id>/model, models:/<name>@<alias>, models:/<name>/<version>, or a model's folder. The
data come from --data, or from the section data of --config (such as runs:/<run id>/config.yaml); for a run's id they
are by default those of the run. What the data call anomalous is judged by the model's own detector and its threshold.

Examples
  python -m pipelines.evaluate <run id>
  python -m pipelines.evaluate models:/digits@champion --data Digits --data.normal [3]
  python -m pipelines.evaluate outputs/<run id>/model --data MNIST --data.root <folder>"""
GROUPS = ("tracking", "evaluation")


class Question(NamedTuple):
    """What is to be judged on what.

    Attributes:
        model: the model's address.
        arguments: what the parser of data and options is given.
    """

    model: str
    arguments: list[str]


def read(argv: list[str]) -> Question:
    """Checks every name; ``--help`` prints and ends the program.

    Raises:
        UserError: for a name that nothing answers to, or a missing model.
    """
    catalogue = Catalogue(ROOT)
    own = {name: text for name, text in own_options().items() if name.partition(".")[0] in GROUPS}
    has_model = bool(argv) and not argv[0].startswith("-")
    options = list(split_options(argv[1:] if has_model else argv))
    for name, value in options:
        if name == "help":
            print(catalogue.help_text_of(value) if value else help_text(catalogue, own))
            sys.exit(0)
    if not has_model:
        raise UserError("Name the model first: python -m pipelines.evaluate MODEL --data CLASS, see --help.")
    for name, _ in options:
        if name.partition(".")[0] in ("model", "trainer"):
            raise UserError(f"--{name} can't be set: the model is judged as it is.")
    if not {"config", "data"} & dict(options).keys() and "/" not in argv[0]:
        options.append(("config", f"runs:/{argv[0]}/config.yaml"))
    return Question(argv[0], data_arguments(options, catalogue, own))


def data_arguments(options: list[tuple[str, str | None]], catalogue: Catalogue, own: dict[str, str]) -> list[str]:
    """What the parser of the data is given: the section data of the last ``config``, then the other options.

    Args:
        options: names and values.
        catalogue: knows the data sets and their options.
        own: further options with their help.

    Raises:
        UserError: for a name that nothing answers to, or where no data are named.
    """
    files = [value for name, value in options if name == "config"]
    flags = [(name, value) for name, value in options if name != "config"]
    catalogue.check([("config", None), *flags], own)  # before a file is fetched, which may name the data
    section = read_yaml(local_file(files[-1] or "")).get("data") if files else None
    if section is None and "data" not in dict(flags):
        raise UserError("Name the data: --data CLASS, or a --config that has a section data.")
    given = flatten({"data": section}) if isinstance(section, dict) else []
    catalogue.check([*given, *flags], own)
    return [*section_argument(section), *(f"--{name}={value}" for name, value in flags)]


def section_argument(section: Any) -> list[str]:
    """The section data of a configuration as a word of the command line; none for no section."""
    return [f"--data={section if isinstance(section, str) else json.dumps(section)}"] if section else []


def help_text(catalogue: Catalogue, own: dict[str, str]) -> str:
    """The page for ``--help``."""
    sets = [f"  {name}: {entry.summary}" for name, entry in catalogue.data_sets.items()]
    options = [f"  --{name}: {text}" for name, text in own.items()]
    data = ["  --data.<option>: an option of the data set; --help MNIST lists them"]
    return "\n".join([USAGE, "", "Data sets (--data CLASS)", *sets, "", "Options", *data, *options])


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch and Lightning."""
    with one_line_errors():
        question = read(sys.argv[1:] if argv is None else argv)
        from pipelines.evaluating import evaluate_model

        return evaluate_model(question)


if __name__ == "__main__":
    sys.exit(main())
