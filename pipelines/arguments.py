"""What the commands that take a model, a table or a server's words ask for alike."""

import argparse
from pathlib import Path

from lit_ae.errors import UserError

INPUTS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".pq")


class OneLineParser(argparse.ArgumentParser):
    """A parser that says in one sentence what is wrong."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(f"{message[0].upper()}{message[1:]}: see {self.prog} --help.")


def add_output_dir(parser: argparse.ArgumentParser) -> None:
    """Where runs are kept."""
    help_text = "where runs keep their files (default outputs)"
    parser.add_argument("--output_dir", type=Path, default=Path("outputs"), help=help_text)


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """How a table is read, and where runs are kept."""
    add_output_dir(parser)
    add = parser.add_argument
    add("--data.delimiter", dest="delimiter", default=",", help="between the fields of a CSV file (default ,)")
    add("--data.encoding", dest="encoding", default="utf8", help="of a CSV file (default utf8)")
    add("--data.bad_rows", dest="bad_rows", choices=("refuse", "skip"), default="refuse",
        help="what is done about lines with too few or too many fields, text among numbers, and infinite numbers: "
        "refuse the table (default), or leave them out and count them")  # fmt: skip


def check_table(word: str, path: Path) -> None:
    """Refuses a table that is not there.

    Raises:
        UserError: naming the word to change.
    """
    if not path.name.endswith(INPUTS):
        raise UserError(f"--{word} {path} has no ending that is known here: it must be one of {', '.join(INPUTS)}.")
    if not path.is_file():
        raise UserError(f"There is no file {path}: name a table by --{word}.")
