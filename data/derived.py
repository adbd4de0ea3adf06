"""What takes long to compute from the data, kept in files for the next time."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from numpy.typing import NDArray


def derived_lines(path: Path, count: int, compute: Callable[[], list[str]]) -> list[str]:
    """``count`` strings without line ends: read from ``path``, or else computed and written there.

    A file that does not fit is replaced, and a folder that cannot be written is none of the user's worries.
    """
    with suppress(OSError, UnicodeDecodeError):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        if len(lines) == count:
            return lines
    lines = compute()
    _write(path, "".join(f"{line}\n" for line in lines).encode())
    return lines


def derived_array(
    path: Path, shape: tuple[int, ...], compute: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Numbers of this shape: read from ``path`` (.npy), or else computed and written there: see above."""
    with suppress(OSError, ValueError, EOFError):
        numbers: NDArray[np.float32] = np.load(path, allow_pickle=False)
        if numbers.shape == shape and numbers.dtype == np.float32:
            return numbers
    numbers = compute()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as file:
            np.save(file, numbers, allow_pickle=False)
        Path(file.name).replace(path)
    return numbers


def _write(path: Path, content: bytes) -> None:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)
