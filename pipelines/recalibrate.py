"""Gives a model a new threshold from recent normal rows: ``python -m pipelines.recalibrate --help``."""

import argparse
import sys
from pathlib import Path
from typing import Literal

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser, add_table_options, check_table
from pipelines.command_line import one_line_errors
from pipelines.models import FORMS


class Job(argparse.Namespace):
    """What is to be renewed.

    Attributes:
        model: the model's address.
        normals: a table of rows confirmed as normal.
        alpha: the false-alarm budget; None leaves it.
        register: the name to register the new version under; None takes the model's own.
        experiment: of the MLflow run.
        output_dir: where runs keep their files.
        delimiter: between the fields of a CSV file.
        encoding: of a CSV file.
        bad_rows: whether rows that can't be read are refused or left out.
    """

    model: str
    normals: Path
    alpha: float | None
    register: str | None
    experiment: str
    output_dir: Path
    delimiter: str
    encoding: str
    bad_rows: Literal["refuse", "skip"]


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The words of every command that renews a model."""
    add = parser.add_argument
    add("model", help=FORMS)
    add("normals", type=Path, help="a table of recent rows that somebody has confirmed as normal, in time order")
    add("--register", help="the name to register under, with the alias challenger; by default the model's own")
    add("--experiment", default="monitoring", help="the MLflow experiment (default monitoring)")
    add_table_options(parser)


def read(argv: list[str]) -> Job:
    """Checks what can be checked without PyTorch.

    Raises:
        UserError: for a wrong word, or a file that is not there.
    """
    parser = OneLineParser(
        prog="python -m pipelines.recalibrate",
        description="A new version of a model: the same weights byte for byte, and a threshold and p-values from "
        "recent normal rows. The threshold never falls so low that the rows of the old calibration would break the "
        "promised budget. It is packed in an MLflow run of its own, and registered as challenger.",
        allow_abbrev=False,
    )
    add_common_options(parser)
    parser.add_argument("--alpha", type=float, help="the false-alarm budget; by default as it was")
    job = parser.parse_args(argv, Job())
    check_table("normals", job.normals)
    if job.alpha is not None and not 0 < job.alpha < 1:
        raise UserError(f"--alpha is {job.alpha:g}, but it must lie between 0 and 1.")
    return job


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        job = read(sys.argv[1:] if argv is None else argv)
        from pipelines.monitoring.recalibrating import recalibrate_model

        return recalibrate_model(job)


if __name__ == "__main__":
    sys.exit(main())
