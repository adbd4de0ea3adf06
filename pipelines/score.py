"""Scores a table of any size with a trained model: ``python -m pipelines.score --help``."""

import argparse
import sys
from pathlib import Path

from lit_ae.errors import UserError
from pipelines.command_line import one_line_errors

INPUTS = (".csv", ".csv.gz", ".csv.bz2", ".csv.zst", ".parquet", ".pq")
OUTPUTS = (".csv", ".parquet", ".pq")


class Job(argparse.Namespace):
    """What is to be scored.

    Attributes:
        model: the model's address.
        input: the table.
        output: where the answers go.
        rows: rows that are held in memory at once.
        reasons: features named for each flagged row.
        output_dir: where runs keep their files.
    """

    model: str
    input: Path
    output: Path
    rows: int
    reasons: int
    output_dir: Path


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{message[0].upper()}{message[1:]}: see python -m pipelines.score --help.")


def read(argv: list[str]) -> Job:
    """Checks what can be checked without PyTorch.

    Raises:
        UserError: for a wrong word, a file that is not there, or an unknown format.
    """
    parser = _Parser(
        prog="python -m pipelines.score",
        description="Scores each row of a CSV or Parquet file with a model's detector, at constant memory. The output "
        "has a row for each row of the input: row (its number, from 0), score (higher is worse), p_value, verdict "
        "(anomaly, normal, or not scored, such as the first rows of a series for a model of windows) and reasons. It "
        "appears when it is whole; what is done waits in OUTPUT.parts, and the same command goes on from there.",
        epilog="Columns are found by name; columns that the model does not know are left aside.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "model",
        help="a run's id, runs:/<run id>/model, models:/<name>@<alias>, models:/<name>/<version>, or a model's folder",
    )
    parser.add_argument("input", type=Path, help=f"the table: {', '.join(INPUTS)}")
    parser.add_argument("output", type=Path, help=f"the answers: {', '.join(OUTPUTS)}")
    parser.add_argument("--rows", type=int, default=16_384, help="rows held in memory at once (default 16384)")
    parser.add_argument("--reasons", type=int, default=3, help="columns named for each anomaly (default 3)")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("outputs"), help="where runs keep their files (default outputs)"
    )
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
    for name in ("rows", "reasons"):
        if getattr(job, name) < 1:
            raise UserError(f"--{name} must be at least 1, not {getattr(job, name)}.")


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        job = read(sys.argv[1:] if argv is None else argv)
        from pipelines.scoring import score

        return score(job)


if __name__ == "__main__":
    sys.exit(main())
