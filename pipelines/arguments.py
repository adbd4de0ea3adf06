"""What the commands that take a model, a table or a server's words ask for alike."""

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar, overload

from lit_ae.errors import UserError
from pipelines.values import Wanted, closest, refusal, unknown_option

INPUTS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".pq")
NamespaceT = TypeVar("NamespaceT", bound=argparse.Namespace)


class OneLineParser(argparse.ArgumentParser):
    """A parser that says in one sentence what is wrong, with the nearest right name or choice."""

    @overload  # type: ignore[override]
    def parse_args(self, args: Sequence[str] | None = None, namespace: None = None) -> argparse.Namespace: ...

    @overload
    def parse_args(self, args: Sequence[str] | None, namespace: NamespaceT) -> NamespaceT: ...

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: NamespaceT | None = None
    ) -> NamespaceT | argparse.Namespace:
        """The words of a command (by default this process's), in ``namespace``.

        Raises:
            UserError: for a word that means nothing; an unknown option is said before whatever is lacking without it.
        """
        known = {name.removeprefix("--") for name in self._option_string_actions}
        words = sys.argv[1:] if args is None else args
        for word in takewhile(lambda word: word != "--", words):  # what follows is no option, as always in argparse
            name = word.removeprefix("--").partition("=")[0]
            if word.startswith("--") and " " not in name and name not in known:
                raise UserError(unknown_option(name, closest(name, known)))
        return super().parse_args(words, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            name = action.option_strings[0].removeprefix("--")
            raise UserError(refusal(name, value, Wanted([], list(action.choices or [])))) from error

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
