"""Watches a model in use: ``python -m pipelines.monitor --help``."""

import argparse
import os
import sys
from pathlib import Path
from typing import Literal

from lit_ae.errors import UserError
from pipelines.arguments import INPUTS, OneLineParser, add_table_options, check_table
from pipelines.command_line import one_line_errors
from pipelines.models import FORMS

ABOUT = """\
Compares rows in use with what the model was calibrated on: columns, features, scores, codes and alarms. Says whether
the world moved or there are only more anomalies, which features moved, and what to do. The report is report.html and
report.json, on disk and in an MLflow run of its own."""
CODES = """\
exit codes: 0 nothing to do, 10 recalibrate, 11 adapt, 12 retrain, 2 a mistake (one sentence says which)

examples:
  python -m pipelines.monitor models:/pumps@champion --input today.csv
  python -m pipelines.monitor models:/pumps@champion --input today.csv --scored answers.csv --report report
  python -m pipelines.monitor models:/pumps@champion --log served --labels looked_at.csv"""


class Job(argparse.Namespace):
    """What is to be watched.

    Attributes:
        model: the model's address.
        input: the table of rows; None for a log.
        scored: the answers of ``pipelines.score`` to it; None to score it now.
        log: the folder of a server's scored rows.
        version: of the model, whose rows of the log count.
        labels: a table of rows that somebody has looked at.
        report: where the report is put too.
        experiment: of the MLflow run.
        output_dir: where runs keep their files.
        delimiter: between the fields of a CSV file.
        encoding: of a CSV file.
        bad_rows: whether rows that can't be read are refused or left out.
    """

    model: str
    input: Path | None
    scored: Path | None
    log: Path | None
    version: str | None
    labels: Path | None
    report: Path | None
    experiment: str
    output_dir: Path
    delimiter: str
    encoding: str
    bad_rows: Literal["refuse", "skip"]

    @property
    def source(self) -> Path:
        """Where the rows are."""
        found = self.input or self.log
        assert found is not None
        return found


def read(argv: list[str]) -> Job:
    """Checks what can be checked without PyTorch.

    Raises:
        UserError: for a wrong word, a file that is not there, or an unknown format.
    """
    parser = OneLineParser(
        prog="python -m pipelines.monitor",
        description=ABOUT,
        epilog=CODES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", help=FORMS)
    add("--input", type=Path, help=f"the table of rows, in time order: {', '.join(INPUTS)}")
    add("--scored", type=Path, help="what pipelines.score has answered to it; without it the rows are scored now")
    add("--log", type=Path, help="a folder of Parquet files that a server has written, instead of a table")
    add("--model_version", dest="version", help="whose rows of the log count; by default the model's own version")
    add("--labels", type=Path, help="a table with the columns row (number, from 0) and anomaly (0 or 1)")
    add("--report", type=Path, help="a folder for report.html and report.json, beside the run's own")
    add("--experiment", default="monitoring", help="the MLflow experiment (default monitoring)")
    add_table_options(parser)
    job = parser.parse_args(argv, Job())
    check_paths(job)
    return job


def check_paths(job: Job) -> None:
    """Refuses what could not end well.

    Raises:
        UserError: naming the word to change.
    """
    if (job.input is None) == (job.log is None):
        raise UserError("Name the rows: either a table by --input, or a server's log by --log.")
    if job.scored is not None and job.input is None:
        raise UserError("--scored goes with --input: a log holds the scores itself.")
    for word, path in (("input", job.input), ("scored", job.scored), ("labels", job.labels)):
        if path is not None:
            check_table(word, path)
    if job.log is not None and not job.log.is_dir():
        raise UserError(f"There is no folder {job.log}: name by --log the folder that the server writes to.")
    if job.report is not None:
        place = next(path for path in (job.report, *job.report.absolute().parents) if path.exists())
        if not place.is_dir() or not os.access(place, os.W_OK):
            what = "can't be written" if place.is_dir() else "is a file"
            raise UserError(f"--report {job.report} can't be made, as {place} {what}: name another folder.")


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        job = read(sys.argv[1:] if argv is None else argv)
        from pipelines.monitoring.story import monitor

        return monitor(job)


if __name__ == "__main__":
    sys.exit(main())
