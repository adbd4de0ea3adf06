"""Scores a table of any size with a trained model: ``python -m pipelines.score --help``."""

import argparse
import sys
from pathlib import Path
from typing import Any, Literal

from lit_ae.errors import UserError
from pipelines.arguments import INPUTS, OneLineParser, add_table_options
from pipelines.command_line import one_line_errors
from pipelines.models import FORMS

OUTPUTS = (".csv", ".parquet", ".pq")


class Job(argparse.Namespace):
    """What is to be scored.

    Attributes:
        model: the model's address.
        input: the table.
        output: where the answers go.
        reasons: features named for each flagged row.
        output_dir: where runs keep their files.
        delimiter: between the fields of a CSV file.
        encoding: of a CSV file.
        bad_rows: whether rows that can't be read are refused or left out.
    """

    model: str
    input: Path
    output: Path
    reasons: int
    output_dir: Path
    delimiter: str
    encoding: str
    bad_rows: Literal["refuse", "skip"]

    @property
    def of_answers(self) -> dict[str, Any]:
        """What changes the answers, as plain values."""
        names = ("reasons", "delimiter", "encoding", "bad_rows")
        return {name: getattr(self, name) for name in names}


def read(argv: list[str]) -> Job:
    """Checks what can be checked without PyTorch.

    Raises:
        UserError: for a wrong word, a file that is not there, or an unknown format.
    """
    parser = OneLineParser(
        prog="python -m pipelines.score",
        description="Scores each row of a CSV or Parquet file with a model's detector, at constant memory. The output "
        "has a row for each row of the input: row (its number, from 0), score (higher is worse), p_value, verdict "
        "(anomaly, normal, or not scored, such as the first rows of a series for a model of windows) and reasons. It "
        "appears when it is whole; what is done waits in OUTPUT.parts, and the same command goes on from there.",
        epilog="Columns are found by name; columns that the model does not know are left aside.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help=FORMS)
    parser.add_argument("input", type=Path, help=f"the table: {', '.join(INPUTS)}")
    parser.add_argument("output", type=Path, help=f"the answers: {', '.join(OUTPUTS)}")
    parser.add_argument("--reasons", type=int, default=3, help="columns named for each anomaly (default 3)")
    add_table_options(parser)
    job = parser.parse_args(argv, Job())
    check_paths(job)
    return job


def check_paths(job: Job) -> None:
    """Refuses what could not end well.

    Raises:
        UserError: naming the word to change.
    """
    for path, endings in ((job.input, INPUTS), (job.output, OUTPUTS)):
        if not path.name.endswith(endings):
            raise UserError(f"{path} has no ending that is known here: name a file that ends in {', '.join(endings)}.")
    if not job.input.is_file():
        raise UserError(f"There is no file {job.input}: name the table to score.")
    if job.input.resolve() == job.output.resolve():
        raise UserError(f"{job.output} is the input itself: name another file for the answers.")
    if job.reasons < 1:
        raise UserError(f"--reasons must be at least 1, not {job.reasons}.")


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        job = read(sys.argv[1:] if argv is None else argv)
        from pipelines.scoring import score

        return score(job)


if __name__ == "__main__":
    sys.exit(main())
