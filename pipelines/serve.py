"""Serves a trained model over HTTP: ``python -m pipelines.serve --help``."""

import argparse
import os
import sys
from pathlib import Path

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser, add_output_dir
from pipelines.command_line import one_line_errors

KEY_VARIABLE = "LIT_AE_API_KEY"


class Serving(argparse.Namespace):
    """What is served, and within what limits.

    Attributes:
        model: the model's address.
        host: the address that is listened on.
        port: 0 for any that is free.
        device: where the model runs, in PyTorch's words.
        workers: batches that the model works on at once.
        threads: of the CPU, for each of them.
        max_batch: requests that go through the model together.
        max_rows: of one request.
        max_bytes: of one request's body.
        max_seconds: from a request's first byte to its answer.
        max_waiting: requests that may be under way at once.
        poll: seconds between two looks at the alias; 0 for none.
        drain: seconds between the word to stop and the last new connection.
        api_key_file: holds the key.
        log: folder of scored rows.
        log_rows: of one file.
        log_seconds: that a row waits to be written.
        output_dir: where runs keep their files.
    """

    model: str
    host: str
    port: int
    device: str
    workers: int
    threads: int
    max_batch: int
    max_rows: int
    max_bytes: int
    max_seconds: float
    max_waiting: int
    poll: float
    drain: float
    api_key_file: Path | None
    log: Path | None
    log_rows: int
    log_seconds: float
    output_dir: Path


def parser() -> argparse.ArgumentParser:
    """The words of the command."""
    parser = OneLineParser(
        prog="python -m pipelines.serve",
        description="Answers POST /score with score, p_value, verdict and reasons of each row (or another output of "
        "the model), and POST /invocations as mlflow models serve does. An alias is watched: when it points to "
        "another version, that one is loaded beside the old one and takes its place. /docs describes it all; /health, "
        "/ready, /metrics and /version are for what watches the server. Logs are JSON lines on standard output.",
        epilog=f"A key in {KEY_VARIABLE} or --api_key_file is asked of everyone who scores, as 'Authorization: Bearer "
        "<key>' or 'X-API-Key: <key>'. SIGTERM ends it when what is under way is answered. See docs/serving.md.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", help="models:/<name>@<alias> (watched), models:/<name>/<version>, a run's id, runs:/<run id>/model, "
        "or a model's folder")  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default 127.0.0.1)")
    add("--port", type=int, default=8000, help="0 for any that is free, which the log then names (default 8000)")
    add("--device", default="cpu", help="where a model without a detector runs: cpu, cuda, cuda:1 (default cpu)")
    add("--workers", type=int, default=1, help="batches that the model works on at once (default 1)")
    add("--threads", type=int, default=1, help="CPU threads of PyTorch for each of them (default 1)")
    add("--max_batch", type=int, default=64,
        help="waiting requests that go through the model together; 1: each alone (default 64)")  # fmt: skip
    add("--max_rows", type=int, default=10_000, help="rows of one request; more is answered by 413 (default 10000)")
    add("--max_bytes", type=int, default=1 << 24,
        help="bytes of one request; more is answered by 413 (default 16777216)")  # fmt: skip
    add("--max_seconds", type=float, default=30.0,
        help="seconds for one request; past them it is answered by 503 (default 30)")  # fmt: skip
    add("--max_waiting", type=int, default=100,
        help="requests under way at once; more are answered by 503 at once (default 100)")  # fmt: skip
    add("--poll", type=float, default=10.0,
        help="seconds between two looks at the alias; 0: only by POST /reload (default 10)")  # fmt: skip
    add("--drain", type=float, default=2.0,
        help="seconds after SIGTERM in which /ready says 503 and all is still answered (default 2)")  # fmt: skip
    add("--api_key_file", type=Path, help="a file whose one line is the API key")
    add("--log", type=Path, help="a folder for Parquet files of what was scored, for pipelines.monitor")
    add("--log_rows", type=int, default=10_000, help="rows of one such file (default 10000)")
    add("--log_seconds", type=float, default=60.0, help="seconds after which rows are written anyway (default 60)")
    add_output_dir(parser)
    return parser


def read(argv: list[str]) -> Serving:
    """Checks what can be checked without PyTorch.

    Raises:
        UserError: for a wrong word or number.
    """
    asked = parser().parse_args(argv, Serving())
    for name in ("workers", "threads", "max_batch", "max_rows", "max_bytes", "max_waiting", "log_rows"):
        if getattr(asked, name) < 1:
            raise UserError(f"--{name} must be at least 1, not {getattr(asked, name)}.")
    for name in ("max_seconds", "log_seconds"):
        if not 0 < getattr(asked, name) < float("inf"):
            raise UserError(f"--{name} must be more than 0 seconds, not {getattr(asked, name)}.")
    for name in ("poll", "drain"):
        if not 0 <= getattr(asked, name) < float("inf"):
            raise UserError(f"--{name} must be 0 seconds or more, not {getattr(asked, name)}.")
    if not 0 <= asked.port <= 65535:
        raise UserError(f"--port must lie between 0 and 65535, not {asked.port}.")
    return asked


def api_key(file: Path | None) -> bytes | None:
    """The key of the file, else of the environment; None where neither is given.

    Raises:
        UserError: it is empty, or more than a line, or the file can't be read.
    """
    if file is None:
        place, key = KEY_VARIABLE, os.environ.get(KEY_VARIABLE)
    else:
        place = str(file)
        try:
            key = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"--api_key_file {file} can't be read ({error}): name a file that holds the key."
            ) from error
    if key is None:
        return None
    if not key.strip() or not key.isascii() or len(key.split()) > 1:
        raise UserError(f"{place} holds no API key: give it one word of ASCII letters and signs, or leave it out.")
    return key.strip().encode()


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and only then imports PyTorch."""
    with one_line_errors():
        asked = read(sys.argv[1:] if argv is None else argv)
        key = api_key(asked.api_key_file)
        from pipelines.serving.server import serve

        return serve(asked, key)


if __name__ == "__main__":
    sys.exit(main())
