"""The lines of a text file, one by one, whatever is wrong with it said in a sentence."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from lit_ae.errors import UserError

LONGEST = 1 << 20  # bytes of a line; what is longer is no line of text
GZIP, UTF_8_MARK, UTF_16_MARKS = b"\x1f\x8b", b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file, packed by gzip or not, without their ends (``\\n`` or ``\\r\\n``) and byte-order
    mark. At most one line is in memory, and of a line that is too long no more than the allowed part.

    Raises:
        UserError: the file can't be read, is cut off, is not UTF-8, or has a line of more than 1 MiB.
    """
    with _opened(path) as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise UserError(
                    f"{path}, line {number} has more than {LONGEST:,} bytes: give a text file with one row a line."
                )
            yield _text(line.removeprefix(UTF_8_MARK) if number == 1 else line, path, number)


def _text(line: bytes, path: Path, number: int) -> str:
    if number == 1 and line.startswith(UTF_16_MARKS):
        raise UserError(f"{path} is UTF-16: save it as UTF-8.")
    try:
        return line.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number}, byte {error.start + 1} is not UTF-8: save the whole file in that one encoding."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes; what goes wrong while they are read becomes a sentence."""
    try:
        with path.open("rb") as file:
            is_packed = file.peek(2)[:2] == GZIP
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is no whole gzip file ({error}): get it again from its source.") from error
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}): give --data.path a readable text file.") from error
