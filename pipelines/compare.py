"""Compares models on the same test rows, in one MLflow run: ``python -m pipelines.compare --help``."""

import argparse
import re
import sys
from pathlib import Path

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser, add_output_dir
from pipelines.catalogue import Catalogue
from pipelines.command_line import ROOT, one_line_errors, split_options
from pipelines.evaluate import data_arguments

FLAGS = {"help"}
DATA_WORDS = ("config", "data")


class Question(argparse.Namespace):
    """What is to be compared.

    Attributes:
        models: addresses, in the order given.
        filter: MLflow's query for further runs, or None.
        experiment: where the filter looks, and where the comparison's own run goes.
        baseline: one of the models, that the others are compared with; None for the best one.
        resamples: draws of the bootstrap.
        level: of the intervals, and of the verdicts for all comparisons together.
        turns: how often each model's speed is measured.
        run_name: of the comparison's own run, or None.
        output_dir: where runs keep their files.
        json: where a copy of the figures goes, or None.
        data: options of the data that all are judged on, in place of their own.
    """

    models: list[str]
    filter: str | None
    experiment: str
    baseline: str | None
    resamples: int
    level: float
    turns: int
    run_name: str | None
    output_dir: Path
    json: Path | None
    data: list[str]


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = OneLineParser(
        prog="python -m pipelines.compare",
        usage="python -m pipelines.compare MODEL [MODEL ...] [--filter QUERY] [--baseline MODEL] [--<option> VALUE]",
        description="Judges models on the same test rows and says which differences are real: figures with mean and "
        "standard deviation over seeds, paired bootstrap, cost, pictures side by side. The report is Markdown, JSON "
        "and one HTML file, as artefacts of a run of its own and in OUTPUT_DIR/<run id>. MODEL is a run's id, "
        "runs:/<run id>/model, models:/<name>@<alias>, models:/<name>/<version>, or a model's folder. Runs that "
        "differ by their seed alone are one group; registered models and folders stand by themselves. Each is judged "
        "on the test rows of its own run, which must be the same for all, or on those of --data.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("models", nargs="*", metavar="MODEL", help="the models; several may stand in one word, with spaces or commas")
    add(
        "--filter", help="further runs, by MLflow's search, such as \"tags.variant = 'VAE' and metrics.test/mse < 0.1\""
    )
    add(
        "--experiment",
        default="lit-ae",
        help="where --filter looks, and where the comparison's run goes (default lit-ae)",
    )
    add("--baseline", help="one of the models, to compare the others with (default: the best)")
    add("--resamples", type=int, default=2000, help="draws of the bootstrap (default 2000)")
    add("--level", type=float, default=0.95, help="of the intervals and the verdicts (default 0.95)")
    add("--turns", type=int, default=5, help="how often each model's speed is measured (default 5)")
    add("--run_name", help="of the comparison's own run")
    add_output_dir(made)
    add("--json", type=Path, help="write the figures to this file too")
    add("--data", metavar="CLASS", help="judge all on these data, with --data.<option> VALUE, not on their own")
    add(
        "--config",
        metavar="FILE",
        help="judge all on the section data of this file, such as runs:/<run id>/config.yaml",
    )
    return made


def read(argv: list[str]) -> Question:
    """Checks what can be checked without PyTorch; ``--help`` prints and ends the program.

    Raises:
        UserError: for a wrong word or value.
    """
    first_option = next((place for place, word in enumerate(argv) if word.startswith("-")), len(argv))
    options = list(split_options(argv[first_option:], FLAGS))
    about_data = [(name, value) for name, value in options if name.partition(".")[0] in DATA_WORDS]
    words = [f"--{name}" if value is None else f"--{name}={value}" for name, value in options]
    own = [word for word, option in zip(words, options, strict=True) if option not in about_data]
    asked = parser().parse_args([*argv[:first_option], *own], Question())
    asked.models = [name for word in asked.models for name in addresses(word)]
    asked.data = data_of(about_data)
    check(asked)
    return asked


def addresses(word: str) -> list[str]:
    """The addresses in one word; a folder's path may hold spaces itself."""
    return [word] if word and Path(word).is_dir() else [one for one in re.split(r"[\s,]+", word) if one]


def data_of(options: list[tuple[str, str | None]]) -> list[str]:
    """The options of the data, checked by name; none where the models' own data are to be taken.

    Raises:
        UserError: for a name that nothing answers to.
    """
    if not options:
        return []
    return data_arguments(options, Catalogue(ROOT), {})


def check(asked: Question) -> None:
    """Refuses what could not be compared.

    Raises:
        UserError: naming the word to change.
    """
    if not asked.models and not asked.filter:
        raise UserError("Name the models: python -m pipelines.compare MODEL MODEL, or --filter QUERY, see --help.")
    if len(set(asked.models)) < 2 and not asked.filter:
        raise UserError("One model can't be compared: name another, or more by --filter.")
    if asked.json and (asked.json.is_dir() or not asked.json.parent.is_dir()):
        raise UserError(f"--json {asked.json} can't be written: name a file in a folder that is there.")
    if not 0.5 <= asked.level < 1:
        raise UserError(f"--level must lie between 0.5 and 1, not {asked.level:g}.")
    for name, value in (("resamples", asked.resamples), ("turns", asked.turns)):
        lowest = 100 if name == "resamples" else 1
        if value < lowest:
            raise UserError(f"--{name} must be at least {lowest}, not {value}.")


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        question = read(sys.argv[1:] if argv is None else argv)
        from pipelines.comparing.command import compare

        return compare(question)


if __name__ == "__main__":
    sys.exit(main())
