"""Send what runs have kept on disk: ``python -m pipelines.sync [run id]``."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser
from pipelines.command_line import one_line_errors

PATIENCE = 20.0  # s without progress


def main(arguments: list[str] | None = None) -> int:
    """Send what is kept of one run, or of all; 0 when everything was sent, 2 after one sentence that says why not."""
    with one_line_errors():
        args = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    runs = [args.output_dir / args.run_id] if args.run_id else _all_runs(args.output_dir)
    if not runs:
        print(f"Nothing waits in {args.output_dir}.")
    code = 0
    for directory in runs:
        try:
            print(sync(directory))
        except UserError as error:
            print(error, file=sys.stderr)
            code = 2
    return code


def sync(directory: Path) -> str:
    """Send what one run's directory keeps, and say what was sent.

    A run whose process ended without a word, as after kill -9, is marked KILLED.

    Raises:
        UserError: nothing is kept there, the server does not answer or does not know the run, or the run's own
            process still lives.
    """
    from pipelines.delivery import Delivery  # here, so that --help does not wait for MLflow
    from pipelines.outbox import Outbox, Sender
    from pipelines.store import connect, describe, find_run, tracking_uri, without_password

    if not (directory / "run.json").exists():
        raise UserError(f"There is no run '{directory.name}' in {directory.parent}: give its --output_dir.")
    kept = json.loads((directory / "run.json").read_text())["tracking_uri"]
    uri = tracking_uri() if os.environ.get("MLFLOW_TRACKING_URI") else kept
    client = connect(uri)
    find_run(client, uri, directory.name)
    outbox = Outbox(directory)
    sender = Sender(outbox, Delivery(client, directory.name), describe(uri))
    try:
        if not outbox.is_closed():
            outbox.append("tags", values={"lit_ae.reason": "its process ended without a word"})
            outbox.append("status", status="KILLED")
        waited = outbox.waiting()
        delivered = sender.flush(PATIENCE)
    finally:
        sender.close()
    if not delivered:
        raise UserError(
            f"{outbox.waiting()} of {waited} records of run {directory.name} still wait: "
            f"{describe(uri)} did not take them, try again later."
        )
    return f"Run {directory.name}: {waited} records sent to {without_password(uri)}."


def _all_runs(output_dir: Path) -> list[Path]:
    """The directories of the runs that wait to be sent."""
    from pipelines.outbox import Outbox

    directories = sorted(path.parent for path in output_dir.glob("*/run.json"))
    outboxes = [(directory, Outbox(directory)) for directory in directories]
    return [directory for directory, outbox in outboxes if not (outbox.is_empty and outbox.is_closed())]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m pipelines.sync",
        description="Send to MLflow what runs have kept on disk because the tracking server did not answer.",
        epilog="The server is the one the run was logged to, unless MLFLOW_TRACKING_URI names another.",
    )
    parser.add_argument("run_id", nargs="?", help="the run to send; without it all that wait are sent")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("outputs"), help="where the runs keep their files (default: outputs)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
