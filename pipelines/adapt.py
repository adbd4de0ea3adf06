"""Trains a model on with recent normal rows: ``python -m pipelines.adapt --help``."""

import sys
from typing import NamedTuple

from lit_ae.errors import UserError
from pipelines import recalibrate
from pipelines.arguments import OneLineParser, check_table
from pipelines.command_line import one_line_errors


class Schooling(NamedTuple):
    """How a model is trained on.

    Attributes:
        epochs: over the recent and the replayed rows.
        rate: share of the first training's learning rate.
        replay: original training rows for each recent one.
    """

    epochs: int = 10
    rate: float = 0.1
    replay: int = 4


class Job(recalibrate.Job):
    """What is to be renewed, and how.

    Attributes:
        epochs: over the recent and the replayed rows.
        rate: share of the first training's learning rate.
        replay: original training rows for each recent one.
    """

    epochs: int
    rate: float
    replay: int

    @property
    def schooling(self) -> Schooling:
        """How it is trained on."""
        return Schooling(self.epochs, self.rate, self.replay)


def read(argv: list[str]) -> Job:
    """Checks what can be checked without PyTorch.

    Raises:
        UserError: for a wrong word, or a file that is not there.
    """
    usual = Schooling()
    parser = OneLineParser(
        prog="python -m pipelines.adapt",
        description="Trains a model on: with recent normal rows, a replay of its own training rows, and a low "
        "learning rate. It needs more than 100 recent rows, which are shared out to fit (60 %), tune and calibrate "
        "(20 % each) beside the original ones; the test rows stay as they are. An ordinary MLflow run, whose model "
        "is registered as challenger: pipelines.promote judges it like any other.",
        allow_abbrev=False,
    )
    recalibrate.add_common_options(parser)
    add = parser.add_argument
    add("--epochs", type=int, default=usual.epochs, help=f"over recent and replayed rows (default {usual.epochs})")
    add("--rate", type=float, default=usual.rate, help=f"share of the learning rate (default {usual.rate})")
    add("--replay", type=int, default=usual.replay, help=f"original rows for each recent one (default {usual.replay})")
    job = parser.parse_args(argv, Job())
    check_table("normals", job.normals)
    if job.epochs < 1 or job.replay < 1:
        raise UserError("--epochs and --replay must be at least 1.")
    if not 0 < job.rate <= 1:
        raise UserError(f"--rate is {job.rate:g}, but it must lie above 0 and be 1 at most.")
    return job


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        job = read(sys.argv[1:] if argv is None else argv)
        from pipelines.monitoring.adapting import adapt

        return adapt(job)


if __name__ == "__main__":
    sys.exit(main())
