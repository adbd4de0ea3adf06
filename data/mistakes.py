"""What Arrow says of a file that it cannot read, as one sentence for the user."""

import re
from collections.abc import Sequence
from pathlib import Path

from lit_ae.errors import UserError

_SKIP = "leave such lines out by data.bad_rows skip"
_SENTENCES = {
    r"(?:Row #(?P<line>\d+): )?Expected (?P<due>\d+) columns, got (?P<got>\d+)": (
        "{place} has {got} field(s) instead of {due}: mend it, or " + _SKIP + "."
    ),
    r"column #(?P<column>\d+): (?:Row #(?P<line>\d+): )?CSV conversion error to \w+: invalid UTF8": (
        "{place} is not in UTF-8: write the file as UTF-8, or say by data.encoding what it is in."
    ),
    r"column #(?P<column>\d+): (?:Row #(?P<line>\d+): )?CSV conversion error to \w+: invalid value '(?P<value>.*)'": (
        "{place} is '{value}', where numbers stand else: mend it, name the column in data.categorical, or "
        + _SKIP
        + "."
    ),
    r"straddling object|Empty CSV file or block|cannot infer number of columns": (
        "{file} has a line of more than 4 MiB: mend it (is a quotation mark not closed?)."
    ),
    r"^Empty CSV file$": "{file} is empty: put the table there.",
    r"Truncated compressed stream": "{file} ends in the middle: get it again.",
    r"zlib inflate failed|incorrect header check|invalid .* (?:code|block|distance|literal)": (
        "{file} is no gz file, or is damaged: get it again."
    ),
    r"[Pp]arquet|Thrift|magic bytes|footer": "{file} is no Parquet file, or is damaged: write it again.",
    r"unknown encoding: (?P<value>\S+)": "data.encoding is {value}, and Python knows no such encoding: see its list.",
    r"codec can't decode": "{file} is not in the encoding that data.encoding says: set it right.",
}


SHORT = 1 << 20  # bytes of a file that has no line too long


def file_mistake(file: Path, names: Sequence[str], error: Exception) -> UserError:
    """The sentence for an error of Arrow's.

    Args:
        file: that was read.
        names: its columns' names, as far as they are known.
        error: what Arrow raised.
    """
    text = " ".join(str(error).split())
    if "Empty CSV file or block" in text and file.stat().st_size < SHORT and not file.name.endswith(".gz"):
        return UserError(f"{file} holds blank lines alone: put the table there.")
    for pattern, sentence in _SENTENCES.items():
        if found := re.search(pattern, text):
            parts = found.groupdict()
            return UserError(sentence.format(**{"place": _place(file, names, parts), "file": file, **parts}))
    return UserError(f"{file} cannot be read ({text[:200]}): mend it, or give another.")


def _place(file: Path, names: Sequence[str], parts: dict[str, str | None]) -> str:
    line = f", line {parts['line']}" if parts.get("line") else ""
    number = parts.get("column")
    if number is None:
        return f"{file}{line}"
    name = names[int(number)] if int(number) < len(names) else number
    return f"{file}{line}, column '{name}'"
